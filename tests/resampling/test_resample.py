"""Resampling: direction, all kinds of grids, types, and ITK's own resampler as the oracle."""

import gc
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample

MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -8, 12), (1.05, 0.95, 1.0)), (5, -10, 20))


def itk_image(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def itk_affine(matrix: np.ndarray) -> sitk.Transform:
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def inside(moving: Grid, fixed: Grid, fixed_to_moving: np.ndarray, margin: float = 0.01) -> np.ndarray:
    """Mark fixed voxels that fall well inside the moving image: at the edge ITK's rounding decides."""
    index = np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing="ij")[::-1], axis=-1)
    index = apply_affine(moving.lps_to_index @ fixed_to_moving @ fixed.index_to_lps, index)
    return ((index >= margin) & (index <= np.array(moving.size) - 1 - margin)).all(axis=-1)


@given(st.from_type(Parameters), st.from_type(Grid), st.from_type(Grid), st.sampled_from(("linear", "nearest")))
@settings(max_examples=25)
def test_resampling_is_that_of_itk(parameters: Parameters, moving: Grid, fixed: Grid, interp: Any) -> None:
    # Bring the middles together, or most pairs would not meet.
    fixed_to_moving = from_parameters(parameters, fixed.center_lps)
    fixed_to_moving[:3, 3] += moving.center_lps - fixed.center_lps
    array = np.random.default_rng(1).uniform(0, 100, moving.shape).astype(np.float32)
    ours = resample(array, moving, fixed, fixed_to_moving, interp)
    method = sitk.sitkLinear if interp == "linear" else sitk.sitkNearestNeighbor
    reference = itk_image(np.zeros(fixed.shape, np.float32), fixed)
    itk = sitk.GetArrayFromImage(
        sitk.Resample(itk_image(array, moving), reference, itk_affine(fixed_to_moving), method)
    )
    where = inside(moving, fixed, fixed_to_moving)
    differs = (np.abs(ours - itk)[where] > 0.01).sum()
    assert differs <= (0 if interp == "linear" else 2 + 0.001 * where.sum())  # half-way points may fall either way


def test_a_moved_head_comes_back_on_every_pair_of_grids(phantom: Any, grids_by_name: Any, grid: Grid) -> None:
    for moving_grid in grids_by_name.values():
        moving = phantom.volume(moving_grid, MOVE)
        moved = resample(moving.array, moving_grid, grid, MOVE, threads=1)
        expected = phantom.volume(grid).array
        where = inside(moving_grid, grid, MOVE)
        assert where.mean() > 0.5
        # Linear interpolation flattens peaks by some percent on 7 mm slices; a wrong sign is off by hundreds.
        assert np.abs(moved - expected)[where].mean() < 0.01 * expected.max()
        assert np.abs(moved - expected)[where].max() < 0.15 * expected.max()
        assert np.corrcoef(moved[where], expected[where])[0, 1] > 0.999


def test_a_sheared_grid_is_as_good_as_any(phantom: Any, sheared_grid: Grid, grids_by_name: Any) -> None:
    moving = phantom.volume(sheared_grid, MOVE)
    for fixed in (grids_by_name["RAS"], sheared_grid):
        moved = resample(moving.array, sheared_grid, fixed, MOVE)
        where = inside(sheared_grid, fixed, MOVE)
        expected = phantom.volume(fixed).array
        assert np.corrcoef(moved[where], expected[where])[0, 1] > 0.999


def test_identity_gives_every_voxel_back(grid: Grid) -> None:
    array = np.random.default_rng(0).integers(0, 200, grid.shape).astype(np.int16)
    for interp in ("linear", "nearest", "label"):
        again = resample(array, grid, grid, np.eye(4), interp)  # type: ignore[arg-type]
        assert np.abs(again - array.astype(np.float32)).max() < 1e-3, interp


@pytest.mark.parametrize("interp", ["bspline", "lanczos"])
def test_identity_is_kept_by_smooth_interpolation(interp: Any) -> None:
    grid = Grid((12, 13, 14), np.eye(4))
    array = np.random.default_rng(0).integers(0, 200, grid.shape).astype(np.int16)
    assert np.abs(resample(array, grid, grid, np.eye(4), interp) - array).max() < 1e-3


def test_outside_is_background(grid: Grid) -> None:
    away = np.eye(4)
    away[0, 3] = 5000
    array = np.ones(grid.shape, np.float32)
    assert (resample(array, grid, grid, away, background=-3) == -3).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float32", "float64", "float16"])
@pytest.mark.parametrize("interp", ["linear", "nearest", "label"])
def test_types(grids_by_name: Any, dtype: str, interp: Any) -> None:
    grid = grids_by_name["LPS"]
    array = (np.arange(np.prod(grid.shape)).reshape(grid.shape) % 2).astype(dtype)
    moved = resample(array, grid, grid, MOVE, interp)
    assert moved.dtype == (np.float32 if interp == "linear" else array.dtype)


def test_labels_are_those_of_itk(phantom: Any, grids_by_name: Any, grid: Grid) -> None:
    moving = phantom.volume(grids_by_name["LIA"], MOVE, labels=True)
    ours = resample(moving.array, moving.grid, grid, MOVE, "label")
    reference = itk_image(np.zeros(grid.shape, np.int16), grid)
    itk = sitk.Resample(itk_image(moving.array, moving.grid), reference, itk_affine(MOVE), sitk.sitkLabelLinear)
    assert (ours != sitk.GetArrayFromImage(itk)).mean() < 1e-4  # ties
    assert set(np.unique(ours)) <= set(np.unique(moving.array))


def test_labels_lie_better_than_nearest(phantom: Any, grids_by_name: Any) -> None:
    coarse, fine = grids_by_name["oblique"], grids_by_name["LPS"]
    moving = phantom.volume(coarse, MOVE, labels=True)
    truth = phantom.volume(fine, labels=True).array
    vote, nearest = (resample(moving.array, coarse, fine, MOVE, name) for name in ("label", "nearest"))
    assert (vote != truth).sum() < (nearest != truth).sum()


def test_threads_change_nothing(phantom: Any, grid: Grid) -> None:
    moving = phantom.volume(grid)
    for interp in ("linear", "bspline", "label"):
        one, two = (resample(moving.array, grid, grid, invert(MOVE), interp, threads=n) for n in (1, 2))  # type: ignore[arg-type]
        assert one.tobytes() == two.tobytes()


def test_what_does_not_fit_is_refused(grid: Grid) -> None:
    with pytest.raises(DataError, match="moving grid"):
        resample(np.zeros((2, 2, 2)), grid, grid, np.eye(4))
    with pytest.raises(UsageProblem, match="lanczos"):
        resample(np.zeros(grid.shape), grid, grid, np.eye(4), "cubic")  # type: ignore[arg-type]


def test_what_is_returned_outlives_its_image_and_can_be_written_to(phantom, grid):
    volume = phantom.volume(grid)
    kept = [resample(volume.array, grid, grid, np.eye(4)) for _ in range(20)]
    gc.collect()
    for moved in kept:
        assert np.allclose(moved, volume.array, atol=1e-3 * volume.array.max())
        moved += 1
