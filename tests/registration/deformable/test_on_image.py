"""A warp on the fixed grid: without folds there too, and zero beyond the part that the frame covers."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable import on_image, unfold
from stnreg.registration.deformable.frame import Frame, box
from stnreg.registration.deformable.on_image import Part, unfolded_on
from stnreg.registration.deformable.velocity import smoothed
from stnreg.transforms.affine import Affine

BOX = box((24, 28, 26), 2.0)


def rotated(degrees, spacing_mm, size):
    turn = np.deg2rad(degrees)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    return Grid.cube(np.zeros(3), size, spacing_mm, about_z @ about_x)


def rough_velocity(seed=0):
    noise = smoothed(np.random.default_rng(seed).standard_normal((3, *BOX.shape)).astype(np.float32), 1.5)
    noise[:, [0, -1]] = noise[:, :, [0, -1]] = noise[:, :, :, [0, -1]] = 0
    return noise * np.float32(5 / noise.std())


def test_what_folds_on_an_oblique_grid_alone_is_smoothed_too(monkeypatch):
    # The frame is content with less than it asks for, so that voxels of a finer grid fold.
    monkeypatch.setattr(unfold, "LEAST_DETERMINANT", 0.03)
    fixed = rotated(33, 1.2, (50, 50, 50))
    frame = Frame(np.eye(4), np.eye(4))
    monkeypatch.setattr(on_image, "ROUNDS", 1)
    once = unfolded_on(rough_velocity(), BOX, frame, (fixed, fixed), threads=1)
    assert once.warps[0].count_folds().digital > 0
    monkeypatch.setattr(on_image, "ROUNDS", 4)
    found = unfolded_on(rough_velocity(), BOX, Frame(np.eye(4), np.eye(4)), (fixed, fixed), threads=1)
    folds = found.parts[0].pasted(found.warps[0]).count_folds()
    assert (folds.central, folds.digital) == (0, 0)
    assert not found.warps[1].count_folds().digital
    assert found.warps[0].largest_mm() > 3


def test_the_warp_is_the_flow_seen_from_the_fixed_image():
    move = np.eye(4)
    move[:3, 3] = 3, -2, 5
    fixed = Grid.cube(move[:3, 3], (48, 48, 48), 1.2)
    found = unfolded_on(rough_velocity(1), BOX, Frame(move, np.eye(4)), (fixed, fixed), threads=1)
    points = np.random.default_rng(2).integers(14, 34, (50, 3)) @ np.diag([1.2] * 3) + fixed.origin
    warp = found.parts[0].pasted(found.warps[0])
    there = Affine(move).inverse().then(found.velocity).then(Affine(move))
    assert np.abs(warp.map_points(points) - there.map_points(points)).max() < 1e-4


def test_a_grid_that_does_not_meet_the_frame_gets_zeros():
    far = Grid.cube(np.array([500.0, 0, 0]), 10, 2.0)
    part = Part.covered(far, np.eye(4), BOX)
    assert part.grid is None
    assert not part.sampled(Affine(np.eye(4))).vectors.any()
    found = unfolded_on(rough_velocity(), BOX, Frame(np.eye(4), np.eye(4)), (far, far), threads=1)
    assert found.warps == (None, None)


def test_warps_on_coarse_voxels_are_made_each_others_inverse(monkeypatch):
    grids = rotated(20, 2.0, (26, 26, 26)), rotated(-15, 2.0, (26, 26, 26))
    frame = Frame(np.eye(4), np.eye(4))
    points = np.random.default_rng(4).uniform(-14, 14, (3000, 3))

    def off_mm():
        there, back = unfolded_on(rough_velocity(), BOX, frame, grids, threads=1).warps
        return np.linalg.norm(back.map_points(there.map_points(points)) - points, axis=1).mean()

    mended = off_mm()
    monkeypatch.setattr(on_image, "FINE_MM", 2.0)
    assert mended < 0.7 * off_mm()
