"""Displacement fields: interpolation, the edge, the inverse."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from stnreg.errors import TransformError
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import voxel_points

GRID = Grid.cube((0, 0, 0), (12, 10, 8), (2.0, 2.5, 3.0))


@pytest.fixture
def noise() -> DisplacementField:
    return DisplacementField(np.random.default_rng(0).standard_normal((3, *GRID.shape)), GRID)


def test_between_voxels_it_is_trilinear_and_beyond_the_edge_goes_on(noise):
    index = np.random.default_rng(1).uniform(-3, 14, (500, 3))
    points = apply_affine(GRID.index_to_lps, index)
    theirs = [map_coordinates(u, index.T[::-1], order=1, mode="nearest") for u in noise.vectors]
    assert np.abs(noise.map_points(points) - points - np.stack(theirs, -1)).max() < 1e-4


def test_at_voxels_nothing_is_interpolated(noise):
    there = noise.map_voxels(GRID, slice(2, 5))
    points = Affine(np.eye(4)).map_voxels(GRID, slice(2, 5))
    assert np.abs(there - points - noise.vectors[:, 2:5]).max() < 1e-6
    assert noise.to_displacement(GRID) is noise


def test_an_axis_of_one_voxel_is_constant_along_it():
    flat = Grid((5, 4, 1), np.eye(4))
    field = DisplacementField(np.ones((3, *flat.shape)), flat)
    assert np.allclose(field.map_points([1.5, 2, 7]), [2.5, 3, 8])
    assert np.allclose(field.jacobian_determinant(), 1)


def test_the_inverse_is_within_a_hundredth_of_a_millimetre(smooth, inside, grid):
    field = smooth(grid)
    points = inside(grid, 2000, margin=0.1)
    inverse = field.inverse()
    assert np.linalg.norm(field.map_points(inverse.map_points(points)) - points, axis=1).max() < 0.0011
    assert inverse.inverse() is field
    sampled = inverse.to_displacement(grid)
    assert np.abs(sampled.map_voxels(grid) - inverse.map_voxels(grid)).max() < 1e-4


def test_a_field_with_a_large_affine_in_it_is_inverted(smooth, inside, grid):
    turn = Affine(from_parameters(Parameters((30, -20, 10), (20, -60, 150), (1.3, 0.8, 1)), grid.center_lps))
    field = smooth(grid).then(turn).to_displacement(grid)
    points = inside(grid)
    assert np.linalg.norm(field.inverse().map_points(field.map_points(points)) - points, axis=1).max() < 0.002


def test_a_steep_field_is_inverted_by_newton(inside):
    """A slope of -0.95: plain iteration gains 5 % a step."""
    grid = Grid.cube((0, 0, 0), 40, 1.0)
    x = grid.origin[0] + np.arange(40.0)
    vectors = np.zeros((3, *grid.shape), np.float32)
    vectors[0] = -0.95 * np.clip(x, -10, 10)
    field = DisplacementField(vectors, grid)
    points = np.array([[0.3, 1, 2], [0.49, 0, 0], [-0.2, 3, 3], [12, 0, 0]])
    assert np.abs(field.map_points(field.inverse().map_points(points)) - points).max() < 0.0011


def test_a_field_that_folds_has_no_inverse():
    vectors = np.zeros((3, *GRID.shape), np.float32)
    vectors[0, 4, 5, 6] = -5
    with pytest.raises(TransformError, match="folds at"):
        DisplacementField(vectors, GRID).inverse()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((*GRID.shape, 3)), "on the grid"),
        (np.full((3, *GRID.shape), np.nan), "finite"),
        (np.zeros((3, *GRID.shape), complex), "real"),
    ],
)
def test_what_is_no_field_is_refused(vectors, message):
    with pytest.raises(TransformError, match=message):
        DisplacementField(vectors, GRID)


def test_vectors_last_are_taken_too(noise):
    again = DisplacementField.from_last_axis(np.moveaxis(noise.vectors, 0, -1), GRID)
    assert np.array_equal(again.vectors, noise.vectors)
    assert again.largest_mm() == pytest.approx(np.linalg.norm(noise.vectors, axis=0).max(), rel=1e-6)


def test_on_another_grid_it_is_what_it_says_of_the_points(noise):
    other = Grid((5, 4, 6), np.array([[0.9, 0.3, 0, -1], [-0.2, 1.1, 0.1, 2], [0, 0.2, 1.3, 1], [0, 0, 0, 1.0]]))
    points = voxel_points(other)
    there = noise._map(points.reshape(3, -1)).reshape(points.shape)
    assert np.abs(noise.to_displacement(other).vectors - (there - points)).max() < 1e-5
    assert np.abs(noise.map_voxels(other) - there).max() < 1e-5


def test_seen_from_another_world_the_affine_cancels(noise):
    to_other = from_parameters(Parameters((3, -4, 5), (10, -20, 15)), noise.grid.center_lps)
    grid = Grid(noise.grid.size, to_other @ noise.grid.index_to_lps)
    truth = Chain((Affine(np.linalg.inv(to_other)), noise, Affine(to_other))).to_displacement(grid)
    assert np.abs(noise.carried(to_other, grid).vectors - truth.vectors).max() < 1e-4
