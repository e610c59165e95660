"""Starts, against ITK's CenteredTransformInitializer."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import DataError
from stnreg.geometry.affine import apply_affine, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.preprocessing.initial_transform import (
    center_geometry,
    center_moments,
    center_of_foreground,
    center_of_mass,
)


def itk_start(fixed: Volume, moving: Volume, rule: int) -> sitk.Transform:
    images = []
    for volume in (fixed, moving):
        image = sitk.GetImageFromArray(volume.array.astype(np.float32))
        image.SetSpacing(volume.grid.spacing.tolist())
        image.SetOrigin(volume.grid.origin.tolist())
        image.SetDirection(volume.grid.direction.ravel().tolist())
        images.append(image)
    return sitk.CenteredTransformInitializer(*images, sitk.Euler3DTransform(), rule)


@given(st.from_type(Grid), st.from_type(Grid))
@settings(max_examples=20)
def test_starts_are_those_of_itk(fixed_grid: Grid, moving_grid: Grid) -> None:
    rng = np.random.default_rng(3)
    fixed, moving = (Volume(rng.uniform(0, 9, g.shape), g) for g in (fixed_grid, moving_grid))
    for ours, rule in (
        (center_geometry(fixed_grid, moving_grid), sitk.CenteredTransformInitializerFilter.GEOMETRY),
        (center_moments(fixed, moving), sitk.CenteredTransformInitializerFilter.MOMENTS),
    ):
        points = fixed_grid.corners_lps()
        itk = itk_start(fixed, moving, rule)
        expected = np.array([itk.TransformPoint(point) for point in points.tolist()])
        assert np.abs(apply_affine(ours, points) - expected).max() < 1e-3
    assert mean_error_mm(center_geometry(moving_grid, fixed_grid) @ center_geometry(fixed_grid, moving_grid),
                         np.eye(4), points) < 1e-9  # fmt: skip


def test_the_centre_of_mass_stays_with_the_anatomy(phantom: Any, grid: Grid, grids_by_name: Any) -> None:
    here, there = center_of_mass(phantom.volume(grid)), center_of_mass(phantom.volume(grids_by_name["LPS"]))
    assert np.abs(here - there).max() < 1.0


def test_without_mass_there_is_no_centre() -> None:
    with pytest.raises(DataError, match="centre of mass"):
        center_of_mass(Volume(np.zeros((2, 2, 2)), Grid((2, 2, 2), np.eye(4)), path="a.nii"))


@given(st.from_type(Grid))
@settings(max_examples=20)
def test_the_foreground_s_centre_is_that_of_a_bright_block(grid: Grid) -> None:
    array = np.full(grid.shape, -5.0)
    assert np.array_equal(center_of_foreground(Volume(array, grid)), grid.center_lps)
    inside = tuple(slice(n // 2, None) for n in grid.shape)
    array[inside] = 40.0
    ends = [(n // 2 + n - 1) / 2 for n in grid.size]
    expected = apply_affine(grid.index_to_lps, ends)
    far = np.linalg.norm(center_of_foreground(Volume(array, grid)) - expected)
    assert far <= np.linalg.norm(grid.spacing) + 1e-6  # every second voxel: half a voxel along each axis
