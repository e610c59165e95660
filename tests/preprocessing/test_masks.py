"""Masks on their image's grid: resampled where theirs is another, refused where they say nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.preprocessing.masks import load_masks


@pytest.fixture
def pair(phantom: Any, grids_by_name: Any) -> tuple[Volume, Volume]:
    return phantom.volume(grids_by_name["RAS"]), phantom.volume(grids_by_name["oblique"])


def ball(grid: Grid, radius_mm: float = 30.0) -> Volume:
    """Return a mask about the middle of the head, (5, -10, 20) LPS."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
    far = np.linalg.norm(apply_affine(grid.index_to_lps, index) - (5, -10, 20), axis=-1)
    return Volume((far < radius_mm).astype(np.float32), grid, path="ball.nii")


def test_a_mask_on_another_grid_is_brought_to_the_image(pair: tuple[Volume, Volume], grids_by_name: Any) -> None:
    fixed, moving = pair
    masks = load_masks(
        {"fixed_mask": ball(grids_by_name["LIA"]), "moving_exclude": ball(moving.grid)}, fixed, moving
    ).on_grids
    assert set(masks) == {"fixed_mask", "moving_exclude"}
    array, grid = masks["fixed_mask"]
    assert grid == fixed.grid
    half_a_voxel_mm = 0.5 * np.linalg.norm(grids_by_name["LIA"].spacing)
    assert array[ball(fixed.grid, 30 - half_a_voxel_mm).array != 0].all()
    assert not array[ball(fixed.grid, 30 + half_a_voxel_mm).array == 0].any()
    assert np.array_equal(masks["moving_exclude"][0], ball(moving.grid).array != 0)


def test_a_mask_that_says_nothing_is_refused(pair: tuple[Volume, Volume]) -> None:
    fixed, moving = pair
    empty = ball(fixed.grid, 0)
    with pytest.raises(DataError, match=r"ball\.nii: the mask is empty"):
        load_masks({"fixed_mask": empty}, fixed, moving)
    assert not load_masks({"fixed_exclude": empty}, fixed, moving).on_grids["fixed_exclude"][0].any()
    away = fixed.grid.index_to_lps.copy()
    away[0, 3] += 1000
    elsewhere = replace(ball(fixed.grid), grid=Grid(fixed.grid.size, away))
    for name in ("fixed_mask", "fixed_exclude"):
        with pytest.raises(DataError, match="inside phantom"):
            load_masks({name: elsewhere}, fixed, moving)
    with pytest.raises(DataError, match="excludes every voxel"):
        load_masks({"fixed_mask": ball(fixed.grid, 20), "fixed_exclude": ball(fixed.grid)}, fixed, moving)


def test_as_many_voxels_in_another_place_are_a_warning(pair: tuple[Volume, Volume]) -> None:
    fixed, moving = pair
    mask = ball(moving.grid)
    assert load_masks({"moving_exclude": mask}, fixed, moving).warnings == ()
    elsewhere = moving.grid.index_to_lps.copy()
    elsewhere[0, 3] += 30
    lost = replace(mask, grid=Grid(moving.grid.size, elsewhere))
    (warning,) = load_masks({"moving_exclude": lost}, fixed, moving).warnings
    assert "as many voxels" in warning
    assert "30 mm away" in warning
