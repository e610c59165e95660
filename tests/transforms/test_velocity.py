"""Velocity fields: a flow, its inverse, and no folds."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.ndimage import gaussian_filter

from stnreg.errors import TransformError
from stnreg.geometry.grid import Grid
from stnreg.transforms import squaring
from stnreg.transforms.sampling import voxel_points
from stnreg.transforms.tetrahedra import row_bound, smallest
from stnreg.transforms.velocity import VelocityField


def test_without_velocity_nothing_moves(grid):
    field = VelocityField(np.zeros((3, *grid.shape)), grid)
    assert field.squarings == 0
    assert field.exponential().largest_mm() == 0


def test_a_constant_velocity_is_a_translation(grid):
    velocity = np.broadcast_to(np.array([3.0, -20, 7])[:, None, None, None], (3, *grid.shape))
    there = VelocityField(velocity, grid).map_points(grid.center_lps)
    assert np.abs(there - grid.center_lps - [3, -20, 7]).max() < 1e-3


def test_a_linear_velocity_is_the_matrix_exponential(grid, inside):
    rate = np.array([[0.1, -0.2, 0.05], [0.15, -0.05, 0.1], [0, 0.1, 0.08]])
    away = voxel_points(grid) - grid.center_lps[:, None, None, None]
    points = inside(grid, margin=0.35)  # what comes from beyond the edge has another velocity
    there = VelocityField(np.tensordot(rate, away, 1), grid).map_points(points)
    assert np.abs(there - grid.center_lps - (points - grid.center_lps) @ expm(rate).T).max() < 0.02


def test_a_rough_velocity_is_halved_until_its_step_is_one_to_one(grid):
    # Neighbours differ by 0.9 voxels along all axes, though no step is as long as half a voxel.
    sign = (-1.0) ** np.indices(grid.shape).sum(0)
    field = VelocityField(0.45 * sign * grid.index_to_lps[:3, :3].sum(1)[:, None, None, None], grid)
    small = field.squared()[0].small
    assert field.squarings == field.inverse().squarings == 2
    assert 0.5 < row_bound(small).max() <= 1
    assert smallest(small).min() > 0
    assert smallest(small * np.float32(2)).min() < 0


def test_the_inverse_is_the_flow_back(smooth, inside, grid):
    velocity = VelocityField(smooth(grid, 5.0).vectors, grid)
    points = inside(grid)
    there = velocity.map_points(points)
    # On voxels of 4 mm and 7 mm; the error is that of interpolation, and falls with their square.
    assert np.linalg.norm(velocity.inverse().map_points(there) - points, axis=1).max() < 0.15
    assert velocity.exponential().count_folds().digital == 0


def test_the_inverse_of_the_inverse_is_the_field_with_the_flow_that_is_at_hand(smooth, grid):
    velocity = VelocityField(smooth(grid).vectors, grid)
    again = velocity.inverse().inverse()
    assert (again.vectors == velocity.vectors).all()
    assert again.exponential() is velocity.exponential()
    assert velocity.inverse().exponential() is again.inverse().exponential()
    assert velocity.inverse().exponential() is not velocity.exponential()


def test_flows_are_freed_with_the_last_field_that_needs_them(smooth, grid):
    velocity = VelocityField(smooth(grid).vectors, grid)
    inverse = velocity.inverse()
    flow = weakref.ref(inverse.exponential())
    gc.disable()  # what only the garbage collector frees stays for long, and takes a gigabyte in a registration
    try:
        del inverse
        assert flow() is velocity.inverse().exponential()
        del velocity
        assert flow() is None
    finally:
        gc.enable()


@given(st.integers(0, 1000), st.floats(0.5, 12))
@settings(max_examples=8)
def test_it_undoes_itself_at_1_mm(seed, length_mm):
    grid = Grid.cube((0, 0, 0), 36, 1.0, np.diag([-1.0, 1, 1]))
    rng = np.random.default_rng(seed)
    waves = rng.uniform(-1, 1, (3, 3)) / 12
    vectors = length_mm * np.sin(np.tensordot(waves, voxel_points(grid), 1) + 3)
    velocity = VelocityField(vectors, grid)
    points = rng.uniform(-3, 3, (50, 3))
    error = velocity.inverse().map_points(velocity.map_points(points)) - points
    assert np.linalg.norm(error, axis=1).max() < 0.05


def test_it_is_computed_once(smooth, grid):
    velocity = VelocityField(smooth(grid).vectors, grid)
    assert velocity.exponential() is velocity.exponential() is velocity.to_displacement(grid)


def bent(smooth, grid, length_mm=9.0):
    """A velocity, and the same changed in a corner."""
    vectors = smooth(grid, length_mm).vectors
    changed = vectors.copy()
    changed[:, 2:5, 3:6, 2:4] *= np.float32(0.9)
    return vectors, changed


@pytest.mark.parametrize("threads", [1, 2])
def test_a_change_in_places_is_followed_to_the_last_bit(smooth, grid, threads, monkeypatch):
    vectors, changed = bent(smooth, grid)
    before, anew = VelocityField(vectors, grid), VelocityField(changed, grid)
    assert before.squarings == anew.squarings >= 2
    after = before.changed_to(changed, threads)
    affected = after.squared()[0].affected
    assert 0 < affected.mean() < 0.5  # it is followed in places alone
    monkeypatch.setattr(squaring, "MUCH", 0.0)
    everywhere = before.changed_to(changed, threads)
    assert everywhere.squared()[0].affected.all()
    assert np.array_equal(everywhere.raw_flows()[0].vectors, after.raw_flows()[0].vectors)
    for one, other in zip(after.raw_flows(), anew.raw_flows(), strict=True):
        assert np.array_equal(one.vectors, other.vectors)
    assert not np.array_equal(after.raw_flows()[0].vectors, before.raw_flows()[0].vectors)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_taken_back_is_followed_to_the_last_bit_too(smooth, grid, threads):
    vectors, changed = bent(smooth, grid)
    before = VelocityField(vectors, grid)
    assert before.mended()[0].least.shape == grid.shape
    between = before.changed_to(changed * np.float32(1.001), threads)  # whose flows nobody asks for
    after, anew = between.changed_to(changed, threads), VelocityField(changed, grid)
    for one, other, old in zip(after.mended(threads), anew.mended(), before.mended(), strict=True):
        assert np.array_equal(one.mended, other.mended)
        assert not np.array_equal(one.mended, old.mended)
        assert np.allclose(one.least, other.least, atol=1e-5)
    assert np.array_equal(after.inverse().exponential().vectors, anew.inverse().exponential().vectors)


def test_where_little_changed_little_is_taken_back_anew(smooth, grid):
    vectors, changed = bent(smooth, grid)
    before = VelocityField(vectors, grid)
    assert before.mended()[0].least is before.mended()[0].least
    found = before.changed_to(changed).inverse().mended()[0]
    assert 0 < found.affected.mean() < 0.5
    assert np.allclose(found.least, VelocityField(changed, grid).inverse().mended()[0].least, atol=1e-5)


def test_a_change_of_the_number_of_squarings_is_computed_anew(smooth, grid):
    vectors, _ = bent(smooth, grid)
    after = VelocityField(vectors, grid).changed_to(vectors * np.float32(2.5))
    assert np.array_equal(
        after.raw_flows()[0].vectors, VelocityField(vectors * np.float32(2.5), grid).raw_flows()[0].vectors
    )


def test_half_of_a_velocity_is_on_the_way_to_it(smooth, grid):
    vectors, _ = bent(smooth, grid)
    velocity = VelocityField(vectors, grid)
    velocity.squared()
    alone = VelocityField(vectors / 2, grid)
    for one, other in zip(velocity.half().raw_flows(), alone.raw_flows(), strict=True):
        assert np.array_equal(one.vectors, other.vectors)


def test_flows_stay_when_the_steps_are_forgotten(smooth, grid):
    velocity = VelocityField(smooth(grid, 9.0).vectors, grid)
    flow, back = velocity.exponential(), velocity.inverse().exponential()
    velocity.forget_steps()
    assert velocity.exponential() is flow
    assert velocity.inverse().exponential() is back


def test_what_is_no_field_is_refused(grid):
    with pytest.raises(TransformError):
        VelocityField(np.zeros((3, 2, 2, 2)), grid)


def test_both_flows_agree_more_between_voxels_than_if_each_took_back_half(monkeypatch):
    grid = Grid((24, 24, 24), np.diag([2.0, 2.0, 2.0, 1.0]))
    rng = np.random.default_rng(0)
    rough = np.stack([gaussian_filter(one, 1.5) for one in rng.standard_normal((3, *grid.shape))]).astype(np.float32)
    points = rng.uniform(10, 36, (4000, 3))

    def left_mm(share):
        monkeypatch.setattr(squaring, "TAKEN_BACK", share)
        field = VelocityField(20 * rough, grid)
        return np.linalg.norm(field.inverse().map_points(field.map_points(points)) - points, axis=1).mean()

    assert left_mm(squaring.TAKEN_BACK) < 0.98 * left_mm(0.5)
