"""A velocity that folds is smoothed until it does not, both ways; a mild one is left as it is."""

import numpy as np
import pytest

from stnreg.registration.deformable import unfold
from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.unfold import LEAST_DETERMINANT, Watched, blocks
from stnreg.registration.deformable.velocity import lattice_of, prepared, smoothed
from stnreg.transforms.bspline import BSplineField
from stnreg.transforms.tetrahedra import smallest
from stnreg.transforms.velocity import VelocityField

GRID = box((24, 32, 24), 2.0)
SHAPE = lattice_of(GRID).shape


def random_velocity(size_mm, seed=0):
    noise = np.random.default_rng(seed).standard_normal((3, *SHAPE)).astype(np.float32)
    noise = smoothed(noise, 1.0)
    coefficients = prepared(noise * np.float32(size_mm / noise.std()), np.zeros(SHAPE, bool), 0.0, 4.0)
    return BSplineField(coefficients, lattice_of(GRID)).to_displacement(GRID).vectors


def unfolded(vectors, grid, threads=1):
    return unfold.unfolded(Watched.of(VelocityField(vectors, grid), threads), threads).velocity


@pytest.mark.parametrize("seed", [0, 1])
def test_a_strong_velocity_is_left_without_folds(seed):
    strong = random_velocity(12.0, seed)
    before = VelocityField(strong, GRID).exponential().count_folds()
    assert before.digital > 50
    velocity = unfolded(strong, GRID)
    for flow in (*velocity.raw_flows(), velocity.exponential(), velocity.inverse().exponential()):
        folds = flow.count_folds()
        assert (folds.central, folds.digital) == (0, 0)
    for flow in velocity.raw_flows():
        assert smallest(flow.vectors / np.float32(2)).min() >= LEAST_DETERMINANT


def test_both_flows_share_what_interpolation_leaves_between_them():
    velocity = unfolded(random_velocity(8.0), GRID)
    points = np.random.default_rng(3).uniform(-15, 15, (2000, 3))

    def off_mm(there, back):
        return np.linalg.norm(back.map_points(there.map_points(points)) - points, axis=1).mean()

    assert off_mm(velocity.exponential(), velocity.inverse().exponential()) < 0.75 * off_mm(*velocity.raw_flows())


def test_a_mild_velocity_is_left_untouched():
    mild = random_velocity(1.0)
    velocity = unfolded(mild, GRID)
    assert np.array_equal(velocity.vectors, mild)
    assert np.array_equal(velocity.inverse().vectors, -mild)


def test_exchanged_images_change_the_sign_and_threads_change_nothing():
    strong = random_velocity(8.0)
    velocity = unfolded(strong, GRID, threads=1)
    assert np.array_equal(unfolded(-strong, GRID).vectors, -velocity.vectors)
    assert np.array_equal(unfolded(-strong, GRID).exponential().vectors, velocity.inverse().exponential().vectors)
    assert np.array_equal(unfolded(strong, GRID, threads=2).vectors, velocity.vectors)
    assert np.array_equal(unfolded(strong, GRID, threads=2).exponential().vectors, velocity.exponential().vectors)


def test_blocks_have_any_of_their_voxels():
    mask = np.zeros((4, 4, 6), bool)
    mask[1, 2, 5] = True
    assert np.argwhere(blocks(mask)).tolist() == [[0, 1, 2]]


def test_mild_rounds_leave_more_of_the_velocity(monkeypatch):
    strong = random_velocity(8.0)

    def taken(rounds):
        monkeypatch.setattr(unfold, "FIRST_ROUNDS", rounds)
        return np.abs(unfolded(strong, GRID).vectors - strong).mean()

    assert 0 < taken(unfold.FIRST_ROUNDS) < 0.9 * taken(2)
