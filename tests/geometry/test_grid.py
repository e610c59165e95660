"""Grids: the spaces agree with each other, with ITK, and with align_corners=False."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, GeometryError
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid


@given(st.from_type(Grid))
def test_parts_give_the_grid_back(grid: Grid) -> None:
    again = Grid.from_parts(grid.size, grid.spacing, grid.origin, grid.direction)
    assert grid.is_close(again, tolerance_mm=1e-9)
    assert grid.is_orthonormal
    assert grid.shape == grid.size[::-1]


@given(st.from_type(Grid))
def test_a_part_has_the_voxels_that_it_was_cut_from(grid: Grid) -> None:
    index = np.indices(grid.shape)
    part = tuple(slice(count // 3, count // 3 + max(count // 2, 1)) for count in grid.shape)
    cut = grid.cut(part)
    assert cut.shape == index[0][part].shape
    first, last = (np.array([along[part].flat[k] for along in index[::-1]], float) for k in (0, -1))
    ends = np.stack([np.zeros(3), np.array(cut.size) - 1.0])
    expected = apply_affine(grid.index_to_lps, np.stack([first, last]))
    assert np.abs(apply_affine(cut.index_to_lps, ends) - expected).max() < 1e-9


@given(st.from_type(Grid), st.tuples(*[st.floats(0, 39)] * 3))
def test_index_to_lps_is_that_of_itk(grid: Grid, index: tuple[float, float, float]) -> None:
    image = sitk.Image(*grid.size, sitk.sitkUInt8)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    ours = apply_affine(grid.index_to_lps, index)
    assert np.abs(ours - image.TransformContinuousIndexToPhysicalPoint(index)).max() < 1e-6


@given(st.from_type(Grid))
def test_the_cube_ends_at_voxel_edges(grid: Grid) -> None:
    first, last = apply_affine(grid.normalized_to_index, [[-1, -1, -1], [1, 1, 1]])
    assert np.allclose(first, -0.5)
    assert np.allclose(last, np.array(grid.size) - 0.5)
    assert np.allclose(grid.normalized_to_index @ grid.index_to_normalized, np.eye(4))
    assert np.allclose(grid.normalized_to_lps @ grid.lps_to_normalized, np.eye(4))
    assert np.allclose(grid.corners_lps().mean(axis=0), grid.center_lps)


def test_a_cube_lies_about_its_centre() -> None:
    cube = Grid.cube((1.0, 2.0, 3.0), 4, 2.5)
    assert np.allclose(cube.center_lps, (1, 2, 3))
    assert np.allclose(cube.extent_mm, 10)
    assert np.allclose(cube.corners_lps().min(axis=0), (-4, -3, -2))


@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), np.diag([1.0, 1, 0, 1]), np.diag([1.0, np.nan, 1, 1]), np.diag([1.0, 1, 1, 2])],
)
def test_what_is_no_grid_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        Grid((2, 2, 2), matrix)


def test_sizes_are_checked() -> None:
    with pytest.raises(DataError, match="at least 1"):
        Grid((2, 0, 2), np.eye(4))


def test_grids_compare_and_hash_by_value() -> None:
    one, other = Grid((2, 3, 4), np.eye(4)), Grid((2, 3, 4), np.eye(4) * 1.0)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Grid((2, 3, 5), np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        one.index_to_lps[0, 3] = 1


def test_the_sheared_grid_says_so(sheared_grid: Grid) -> None:
    assert not sheared_grid.is_orthonormal


def test_a_divided_grid_keeps_its_voxel_centres():
    grid = Grid.from_parts((5, 4, 6), (2.0, 1.0, 3.1), np.array([1.0, 2.0, 3.0]))
    fine = grid.divided(1.0)
    assert fine.size == (9, 4, 21)
    assert (fine.spacing <= 1.0 + 1e-6).all()
    last = np.append(np.array(grid.size) - 1, 1)
    assert np.allclose(fine.origin, grid.origin)
    assert np.allclose(fine.index_to_lps @ np.append(np.array(fine.size) - 1, 1), grid.index_to_lps @ last)
    assert grid.divided(4.0) == grid
