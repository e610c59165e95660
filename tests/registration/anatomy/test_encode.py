"""Encoding, with mock networks that map a small synthetic anatomy exactly."""

import os
import threading
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from stnreg.core.clock import NO_DEADLINE
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import PoseCalibration
from stnreg.registration.anatomy import encode as encode_module
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import (
    MAX_FINE_PASSES,
    MAX_POSES,
    encode,
    encode_both,
    encode_means,
    threads_of_each,
)
from stnreg.registration.anatomy.encoding import AnatomyModel, Encoding
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.maps import MapNetwork, PoseNetwork
from stnreg.registration.anatomy.pose import AGREEING, HEAD_TURNS, LIKELY, TURNS, FoundPose
from stnreg.resampling.block_mean import BlockMeans

# Balls of different brightness, template LPS mm: no rotation or reflection maps them to themselves.
CENTERS = np.array(
    [[40, 5, 0], [-35, 10, 8], [0, 50, -12], [6, -52, 4], [3, 8, 45], [-8, -6, -40], [25, -30, 28]], float
)
LEVELS = np.linspace(0.4, 1.0, len(CENTERS))
RADIUS_MM = 18.0


def _head(template_to_lps: np.ndarray, grid: Grid) -> np.ndarray:
    z, y, x = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    points = apply_affine(
        invert(template_to_lps) @ grid.index_to_lps, np.stack([x, y, z], -1).reshape(-1, 3).astype(float)
    )
    image = np.zeros(len(points), np.float32)
    for center, level in zip(CENTERS, LEVELS, strict=True):
        image[((points - center) ** 2).sum(1) < RADIUS_MM**2] = level
    return image.reshape(grid.shape)


def _run(scan: np.ndarray) -> np.ndarray:
    level = scan / max(float(scan.max()), 1e-6)
    distance = np.abs(level[..., None] - LEVELS)
    flat = sum(np.abs(g) for g in np.gradient(level)) < 0.02  # blurred edges are background
    kind = np.where((distance.min(-1) < 0.03) & flat, 1 + distance.argmin(-1), 0)
    hot = (kind[None] == np.arange(len(LEVELS) + 1)[:, None, None, None]).astype(np.float32)
    z, y, x = (n // 2 for n in scan.shape)
    return hot.reshape(-1, z, 2, y, 2, x, 2).mean(axis=(2, 4, 6))


TEMPLATE = np.vstack([[np.nan] * 3, CENTERS])
SPREAD_MM = np.ones(len(TEMPLATE))
MODEL = AnatomyModel(
    PoseNetwork(_run, (64, 64, 64), 4.0, TEMPLATE, SPREAD_MM), MapNetwork(_run, (64, 80, 64), 2.5, TEMPLATE, SPREAD_MM)
)
GRID = Grid.from_parts((110, 100, 90), (2, 2.2, 2.4), (-108, -112, -105))


def _pose(rotation_deg, translation_mm=(0, 0, 0), scale=(1, 1, 1)) -> np.ndarray:
    return from_parameters(Parameters(translation_mm, rotation_deg, scale, (0, 0, 0)), np.zeros(3))


@pytest.mark.parametrize("rotation", [(0, 0, 0), (10, -20, 30), (170, 15, -100), (-90, 80, 20)])
def test_pose_is_found_in_any_rotation(rotation):
    truth = _pose(rotation, (12, -9, 14))
    found = encode(_head(truth, GRID), GRID, MODEL)
    assert mean_error_mm(found.template_to_lps, truth, CENTERS) < 1.0
    assert found.residual_mm < 1.5


def test_a_head_far_from_the_middle_of_a_large_field_is_found():
    grid = Grid.from_parts((200, 120, 120), (2, 2, 2), (-300, -120, -120))
    truth = _pose((5, 5, 5), (-190, 0, 0))
    found = encode(_head(truth, grid), grid, MODEL)
    assert mean_error_mm(found.template_to_lps, truth, CENTERS) < 1.0


@pytest.mark.parametrize(
    ("rotation", "clear_mm", "runs"), [((3, 0, 5), 0.0, 1), ((0, 0, 40), 0.0, 2), ((0, 0, 40), 2.5, 1)]
)
def test_the_pose_network_runs_once_for_a_head_that_is_upright_or_fits_clearly(rotation, clear_mm, runs):
    inputs = []
    recording = PoseNetwork(lambda scan: inputs.append(scan) or _run(scan), (128, 128, 128), 2.0, TEMPLATE, SPREAD_MM)
    recording = replace(recording, pose_calibration=PoseCalibration(clear_mm=clear_mm, center_mm=50))
    truth = _pose(rotation, (30, -12, 14))
    found = encode(_head(truth, GRID), GRID, AnatomyModel(recording, MODEL.fine))
    assert len(inputs) == runs
    assert mean_error_mm(found.template_to_lps, truth, CENTERS) < 1.0


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_pair_is_the_inverse_when_exchanged(dof):
    a = encode(_head(_pose((10, 5, -20)), GRID), GRID, MODEL)
    b = encode(_head(_pose((-15, 30, 5), (8, 4, -9), (1.1, 0.95, 1.0)), GRID), GRID, MODEL)
    there, back = fit_pair(a, b, dof), fit_pair(b, a, dof)
    if dof != 9:  # scales along the fixed axes are not scales along the moving ones
        assert np.abs(there @ back - np.eye(4)).max() < 1e-6
    if dof == 6:
        assert np.abs(there[:3, :3] @ there[:3, :3].T - np.eye(3)).max() < 1e-12


def test_affine_between_two_poses_is_found_and_its_maps_agree():
    pose_a, pose_b = _pose((10, 5, -20)), _pose((-15, 30, 5), (8, 4, -9), (1.1, 0.95, 1.0))
    a, b = (encode(_head(p, GRID), GRID, MODEL) for p in (pose_a, pose_b))
    truth = pose_b @ invert(pose_a)
    found = fit_pair(a, b)
    assert mean_error_mm(found, truth, apply_affine(pose_a, CENTERS)) < 1.0
    assert map_agreement(a, b, found) > 0.7
    off = truth.copy()
    off[:3, 3] += 20
    assert map_agreement(a, b, off) < 0.3


def test_agreement_of_an_image_with_itself_is_near_one():
    a = encode(_head(_pose((0, 0, 0)), GRID), GRID, MODEL)
    assert map_agreement(a, a, np.eye(4)) == pytest.approx(1.0, abs=0.02)


def test_an_empty_answer_of_the_network_is_not_an_error():
    def nothing(scan: np.ndarray) -> np.ndarray:
        maps = np.zeros((8, 32, 32, 32), np.float32)
        maps[0] = 1
        return maps

    pose = PoseNetwork(nothing, (64, 64, 64), 4.0, MODEL.pose.template, MODEL.pose.spread_mm)
    found = encode(_head(_pose((0, 0, 0)), GRID), GRID, AnatomyModel(pose, MODEL.fine))
    assert isinstance(found, Encoding)
    assert np.isfinite(found.template_to_lps).all()
    assert not found.has_head


def test_without_a_head_the_search_ends_after_four_cubes():
    inputs = []

    def faint(scan: np.ndarray) -> np.ndarray:
        inputs.append(scan)
        return 0.1 * _run(scan)

    limits = PoseCalibration(no_head_ml=20.0)
    pose = PoseNetwork(faint, (64, 64, 64), 4.0, TEMPLATE, SPREAD_MM, pose_calibration=limits)
    model = AnatomyModel(pose, MODEL.fine)
    head = _head(_pose((0, 0, 0)), GRID)
    assert not encode(head, GRID, model).has_head
    assert len(inputs) == HEAD_TURNS
    assert encode(head, GRID, AnatomyModel(replace(pose, run=_run), MODEL.fine)).has_head


def _encode_pair(pair, threads: int) -> tuple[Encoding, Encoding]:
    return encode_both(BlockMeans(*pair[0]), BlockMeans(*pair[1]), MODEL, threads)


def test_a_pair_is_not_searched_once_its_fixed_image_has_no_head():
    inputs = []

    def recording(scan: np.ndarray) -> np.ndarray:
        inputs.append(scan)
        return _run(scan)

    model = AnatomyModel(PoseNetwork(recording, (64, 64, 64), 4.0, TEMPLATE, SPREAD_MM), MODEL.fine)
    empty = (np.zeros(GRID.shape, np.float32), GRID)
    fixed, moving = encode_both(BlockMeans(*empty), BlockMeans(_head(_pose((0, 0, 0)), GRID), GRID), model, 1)
    assert not fixed.has_head
    assert moving.has_head
    assert len(inputs) == HEAD_TURNS


def test_encoding_in_parallel_equals_encoding_one_by_one():
    pair = [(_head(_pose(turn), GRID), GRID) for turn in ((0, 5, 0), (10, 0, -20))]
    for threads in (1, 2, 5):
        for found, (array, grid) in zip(_encode_pair(pair, threads), pair, strict=True):
            np.testing.assert_array_equal(found.centroids_lps, encode(array, grid, MODEL).centroids_lps)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks, which this one does not")
def test_a_forked_process_encodes_with_its_own_threads():
    pair = [(_head(_pose((0, 5, 0)), GRID), GRID)] * 2
    _encode_pair(pair, 2)
    child = get_context("fork").Process(target=_encode_pair, args=(pair, 2))
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0


def test_two_images_share_the_threads():
    assert [threads_of_each(4, images) for images in (0, 1, 2)] == [4, 4, 2]
    assert threads_of_each(1, 2) == 1


def test_what_most_rotations_agree_on_is_the_pose_even_if_it_does_not_fit_the_template():
    strict = replace(PoseCalibration(), accept_mm=-1.0)  # nothing fits
    runs = []
    pose = replace(MODEL.pose, run=lambda scan: runs.append(1) or _run(scan), pose_calibration=strict)
    truth = _pose((12, -9, 20), (8, -6, 10))
    found = encode(_head(truth, GRID), GRID, AnatomyModel(pose, MODEL.fine))
    assert mean_error_mm(found.template_to_lps, truth, CENTERS) < 1.0
    assert len(runs) == HEAD_TURNS + AGREEING
    assert found.alternatives == ()


def test_the_search_for_a_pose_is_bounded_and_keeps_what_it_tried():
    rng = np.random.default_rng(0)
    runs = []

    def unsure(scan):
        runs.append(1)
        maps = _run(scan)
        return np.concatenate([maps[:1], rng.permutation(maps[1:])])  # structures are taken for one another

    pose = PoseNetwork(unsure, (64, 64, 64), 4.0, TEMPLATE, SPREAD_MM)
    fine = replace(MODEL.fine, run=unsure)
    found = encode(_head(_pose((12, -9, 20)), GRID), GRID, AnatomyModel(pose, fine))
    assert len(runs) <= TURNS + AGREEING + LIKELY + 2 * MAX_POSES + 2 * MAX_FINE_PASSES
    assert 1 <= len(found.alternatives) < MAX_POSES


def test_a_head_that_is_hard_to_find_is_looked_for_by_all_threads_with_the_result_of_one():
    lookers = set()

    def unsure(scan):
        lookers.add(threading.get_ident())
        maps = _run(scan)
        rng = np.random.default_rng(int(1e6 * scan.mean()))  # structures are taken for others, by what is seen
        return np.concatenate([maps[:1], rng.permutation(maps[1:])])

    model = AnatomyModel(replace(MODEL.pose, run=unsure), replace(MODEL.fine, run=unsure))
    means = BlockMeans(_head(_pose((12, -9, 20)), GRID), GRID)
    alone = encode_means(means, model)
    assert lookers == {threading.get_ident()}
    together = encode_means(means, model, threads=2)
    assert len(lookers - {threading.get_ident()}) == 2
    assert len(alone.alternatives) >= 2
    for one, other in zip((alone, *alone.alternatives), (together, *together.alternatives), strict=True):
        np.testing.assert_array_equal(one.template_to_lps, other.template_to_lps)
        np.testing.assert_array_equal(one.maps, other.maps)


def test_what_comes_after_a_pose_that_fits_is_dropped():
    truth = _pose((12, -9, 20), (8, -6, 10))
    poses = [FoundPose(_pose((90, 0, 0))), FoundPose(truth), FoundPose(truth), FoundPose(_pose((0, 90, 0)))]
    means = BlockMeans(_head(truth, GRID), GRID)
    tried = {}
    for threads in (1, 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encode_module, "find_poses", lambda *_: iter([poses]))
            tried[threads] = encode_module._encode_until_accepted(means, MODEL, NO_DEADLINE, threads)
    assert len(tried[1]) == len(tried[3])
    assert len(tried[1]) <= 2
