"""End to end, with the networks that come with stnreg: direction, orientation, dof, the Python face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import apply_affine, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, load_volume
from stnreg.resampling.resample import resample
from stnreg.transforms.io.files import save_transform

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIFT_MM = np.array([7.0, -11.0, 16.0])  # different on each axis, so that no mix-up of axes or signs can hide
DIRECTIONS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "LIA": np.array([[1.0, 0, 0], [0, 0, -1], [0, -1, 0]]),
    "oblique": np.linalg.qr(np.array([[1.0, 0.2, -0.1], [-0.2, 1.0, 0.3], [0.1, -0.3, 1.0]]))[0],
    "anisotropic": np.eye(3),
}


@pytest.fixture(scope="module")
def head() -> Volume:
    return load_volume(EXAMPLES / "fixed.nii.gz")


def _rescanned(head: Volume, kind: str, move: np.ndarray) -> Volume:
    """Scan the moved head again on a grid of another kind."""
    direction = DIRECTIONS[kind]
    direction = direction * np.sign(np.linalg.det(direction)) if kind == "oblique" else direction
    spacing = np.array([2.0, 2.0, 4.5]) if kind == "anisotropic" else np.array([2.2, 2.0, 2.4])
    extent = np.abs(direction).T @ np.ptp(head.grid.corners_lps(), axis=0)
    size = np.ceil(extent / spacing).astype(int) + 8
    center = apply_affine(move, head.grid.center_lps)
    origin = center - (direction * spacing) @ ((size - 1) / 2)
    grid = Grid.from_parts(size, spacing, origin, direction)
    return Volume(resample(head.array.astype(np.float32), head.grid, grid, invert(move)), grid, path=kind)


@pytest.mark.parametrize("fixed_kind", ["LPS", "oblique", "anisotropic"])
@pytest.mark.parametrize("moving_kind", list(DIRECTIONS))
def test_a_known_shift_comes_back_with_sign_axis_and_size(head, fixed_kind, moving_kind):
    shift = np.eye(4)
    shift[:3, 3] = SHIFT_MM
    fixed = _rescanned(head, fixed_kind, np.eye(4))
    moving = _rescanned(head, moving_kind, shift)
    found = stnreg.register(fixed, moving, dof=6, threads=2).fixed_to_moving
    middle = head.grid.center_lps
    assert apply_affine(found, middle) - middle == pytest.approx(SHIFT_MM, abs=0.3)


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_dof_are_what_they_say(head, dof):
    moving = load_volume(EXAMPLES / "moving.nii.gz")
    linear = stnreg.register(head, moving, dof=dof, threads=2).fixed_to_moving[:3, :3]
    gram = linear.T @ linear
    off = np.abs(gram - np.diag(np.diag(gram))).max()
    if dof in (6, 7, 9):
        assert off < 1e-9
    if dof == 6:
        assert np.abs(gram - np.eye(3)).max() < 1e-12
    if dof == 7:
        assert np.ptp(np.diag(gram)) < 1e-9
    if dof == 12:
        assert off > 1e-4


def test_storing_the_same_head_in_another_orientation_changes_next_to_nothing(head):
    moving = load_volume(EXAMPLES / "moving.nii.gz")
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = moving.grid.size[0] - 1
    stored = replace(
        moving,
        array=np.ascontiguousarray(moving.array[:, :, ::-1]),
        grid=Grid(moving.grid.size, moving.grid.index_to_lps @ flip),
    )
    for refine in (False, True):
        a, b = (stnreg.register(head, m, refine=refine, threads=2).fixed_to_moving for m in (moving, stored))
        assert mean_error_mm(a, b, head.grid.corners_lps()) < 0.02


SHOWN = (slice(None), slice(None), slice(8, None))
"""What is inside the field of view of the scanner; the rest is fill."""


def _filled(array: np.ndarray) -> np.ndarray:
    out = np.full_like(array, -32768.0)
    out[SHOWN] = array[SHOWN]
    return out


@pytest.mark.parametrize(
    "change",
    [lambda array: array - np.float32(33792), lambda array: 1e6 + 1e3 * array, _filled],
    ids=["far below zero", "far above zero", "fill"],
)
def test_intensities_count_but_for_offset_scale_and_fill(head, change):
    shift = np.eye(4)
    shift[:3, 3] = SHIFT_MM
    moving = _rescanned(head, "LPS", shift)
    found = stnreg.register(head, replace(moving, array=change(moving.array)), dof=6, threads=2)
    assert found.verdict.passed
    assert mean_error_mm(found.fixed_to_moving, shift, head.grid.corners_lps()) < 0.3


def test_there_and_back_is_the_identity(head):
    moving = load_volume(EXAMPLES / "moving.nii.gz")
    there = stnreg.register(head, moving, threads=2).fixed_to_moving
    back = stnreg.register(moving, head, threads=2).fixed_to_moving
    assert mean_error_mm(back @ there, np.eye(4), head.grid.corners_lps()) < 0.05


def test_a_start_from_a_file_is_kept_by_a_network_that_needs_none(head, tmp_path):
    start = np.eye(4)
    start[:3, 3] = SHIFT_MM
    save_transform(tmp_path / "start.tfm", start)
    moving = _rescanned(head, "LPS", start)
    found = stnreg.register(head, moving, init=str(tmp_path / "start.tfm"), dof=6, threads=2).fixed_to_moving
    assert mean_error_mm(found, start, head.grid.corners_lps()) < 0.5


@pytest.mark.parametrize("dof", [6, 12])
def test_a_start_that_exchanges_left_and_right_is_refused_by_name(head, tmp_path, dof):
    save_transform(tmp_path / "mirror.tfm", np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(TransformError, match=r"mirror\.tfm: exchanges left and right.*without a reflection"):
        stnreg.register(head, head, init=str(tmp_path / "mirror.tfm"), dof=dof, threads=2)


def test_refinement_brings_a_moved_head_closer(head):
    move = np.eye(4)
    move[:3, 3] = SHIFT_MM
    moving = _rescanned(head, "oblique", move)
    middle = head.grid.corners_lps() * 0.5 + head.grid.center_lps * 0.5
    rough, fine = (
        mean_error_mm(stnreg.register(head, moving, refine=r, threads=2).fixed_to_moving, move, middle)
        for r in (False, True)
    )
    assert fine < 0.3
    assert fine < rough


def test_saved_image_is_the_moved_one(head, tmp_path):
    result = stnreg.register(head, EXAMPLES / "moving.nii.gz", threads=2)
    result.save(tmp_path / "out.nii.gz", tmp_path / "out.tfm")
    assert np.array_equal(load_volume(tmp_path / "out.nii.gz").array, result.moved)


@pytest.mark.parametrize(("arguments", "error"), [({"dof": 8}, UsageProblem), ({"model": "no-such"}, DataError)])
def test_wrong_arguments_are_refused(head, arguments, error):
    with pytest.raises(error):
        stnreg.register(head, head, **arguments)
