"""An affine transform is its matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, GeometryError
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine

POINTS = np.random.default_rng(0).uniform(-100, 100, (4, 5, 3))


@given(st.from_type(Parameters))
def test_it_maps_as_its_matrix_and_back(parameters):
    affine = Affine(from_parameters(parameters, (5, -10, 20)))
    there = affine.map_points(POINTS)
    assert np.abs(there - apply_affine(affine.matrix, POINTS)).max() < 1e-9
    assert np.abs(affine.inverse().map_points(there) - POINTS).max() < 1e-8


def test_as_a_displacement_it_is_the_same_map(grid):
    affine = Affine(from_parameters(Parameters((7, -4, 11), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20)))
    field = affine.to_displacement(grid)
    points = grid.center_lps + np.random.default_rng(0).uniform(-50, 50, (100, 3))
    assert np.abs(field.map_points(points) - affine.map_points(points)).max() < 1e-3


def test_what_is_no_affine_is_refused():
    with pytest.raises(GeometryError):
        Affine(np.zeros((3, 4)))
    with pytest.raises(GeometryError):
        Affine(np.diag([1, 1, 0, 1])).inverse()
    with pytest.raises(DataError, match=r"\(\.\.\., 3\)"):
        Affine(np.eye(4)).map_points(np.zeros((3, 4)))


def test_voxels_are_taken_slice_by_slice():
    grid = Grid((3, 4, 5), np.diag([-1.0, 2, 3, 1]))
    affine = Affine([[1, 0.1, 0, 3], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    whole = affine.map_voxels(grid)
    assert np.array_equal(whole[:, 2:4], affine.map_voxels(grid, slice(2, 4)))
    assert np.allclose(whole[:, 4, 3, 2], affine.map_points(apply_affine(grid.index_to_lps, (2, 3, 4))))
