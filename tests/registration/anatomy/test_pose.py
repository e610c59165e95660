import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.geometry.affine import invert
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy import pose as pose_module
from stnreg.registration.anatomy.maps import PoseNetwork
from stnreg.registration.anatomy.pose import CUBE_TURNS, brain_shift_mm, distinct, find_poses, permuted
from stnreg.resampling.resample import resample

SAME_POSE_MM = 12.0


def pose(turn=None, shift_mm=(0.0, 0.0, 0.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if turn is None else turn
    matrix[:3, 3] = shift_mm
    return matrix


def test_cube_turns_are_the_24_rotations_identity_first():
    assert len({tuple(turn.ravel()) for turn in CUBE_TURNS}) == 24
    assert all(np.linalg.det(turn) == 1 for turn in CUBE_TURNS)
    assert np.array_equal(CUBE_TURNS[0], np.eye(3))


@pytest.mark.parametrize("turn", CUBE_TURNS)
def test_a_permuted_cube_is_the_cube_sampled_along_turned_axes(turn):
    rng = np.random.default_rng(0)
    cube = rng.random((6, 6, 6), dtype=np.float32)
    upright, turned = Grid.cube((1, 2, 3), 6, 2.0), Grid.cube((1, 2, 3), 6, 2.0, turn)
    assert np.allclose(permuted(cube, turn), resample(cube, upright, turned, np.eye(4)), atol=1e-5)


def test_equal_poses_are_tried_once():
    first, near, far = pose(), pose(shift_mm=(0, SAME_POSE_MM - 1, 0)), pose(shift_mm=(0, SAME_POSE_MM + 1, 0))
    turned = pose(CUBE_TURNS[5])
    kept = list(distinct([first, near, turned, far, turned], lambda pose: pose, SAME_POSE_MM))
    assert [id(k) for k in kept] == [id(first), id(turned), id(far)]


@given(st.integers(0, 23), st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_the_shift_of_the_brain_is_a_distance(number, shift_mm):
    a, b = pose(), pose(CUBE_TURNS[number], shift_mm)
    assert brain_shift_mm(a, b) == brain_shift_mm(b, a)
    assert brain_shift_mm(b, b) == 0
    assert np.isclose(brain_shift_mm(a, pose(shift_mm=shift_mm)), np.linalg.norm(shift_mm))
    assert np.isclose(brain_shift_mm(invert(b) @ b, a), 0, atol=1e-9)


def test_a_clear_pose_goes_before_two_others_that_agree(monkeypatch):
    def found(shift_mm, residual_mm):
        return pose_module._Candidate(pose(shift_mm=shift_mm), residual_mm, residual_mm)

    # From the first cube, from three turned ones, and from the upright cubes of the best three of them.
    first, *turned = found((0, 0, 0), 15.0), found((90, 0, 0), 6.0), found((60, 0, 0), 7.0), found((0, 80, 0), 8.0)
    again = {6.0: found((90, 0, 0), 5.0), 7.0: found((88, 0, 0), 5.5), 8.0: found((0, 80, 0), 1.8)}
    runs = iter(turned)
    monkeypatch.setattr(pose_module, "network_input", lambda *_: np.zeros((4, 4, 4), np.float32))
    monkeypatch.setattr(pose_module, "brightening", lambda *_: 1.0)
    monkeypatch.setattr(pose_module, "_pose_of", lambda *_: first)
    monkeypatch.setattr(pose_module, "_pose_in", lambda *_: next(runs))
    monkeypatch.setattr(pose_module, "_pose_upright", lambda array, grid, one, *_: again[one.fit_residual_mm])
    network = PoseNetwork(lambda scan: scan, (4, 4, 4), 4.0, np.zeros((2, 3)), np.ones(2))
    poses = find_poses(np.zeros((4, 4, 4)), Grid.cube((0, 0, 0), 4, 4.0), np.zeros(3), network)
    (clear,), (agreed,) = next(poses), next(poses)
    assert not clear.is_agreed
    assert clear.template_to_lps[1, 3] == 80
    assert agreed.is_agreed
    assert agreed.template_to_lps[0, 3] == 90
