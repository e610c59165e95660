"""Intensities of a file, whatever they are, as networks and refinement take them."""

from collections.abc import Callable

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.conditioning import conditioned

GRID = Grid.from_parts((60, 64, 56), (3.0, 3.0, 3.0), (-90, -96, -84))


def scan() -> np.ndarray:
    """Return a ball of textured tissue, 60 mm in radius, in air with noise."""
    rng = np.random.default_rng(3)
    z, y, x = (np.arange(n) * 3.0 - n * 1.5 for n in GRID.shape)
    far = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    tissue = 600 + 250 * np.sin(x / 7) * np.cos(y[:, None] / 9) * np.cos(z[:, None, None] / 8)
    return (np.where(far < 60, tissue, 0) + np.abs(rng.normal(0, 15, GRID.shape))).astype(np.float32)


SCAN = scan()
INSIDE = SCAN > 200
CORE = np.linalg.norm((np.indices(GRID.shape).T - np.array(GRID.shape) / 2) * 3, axis=-1).T < 45


def same_contrast(array: np.ndarray) -> float:
    """Return how well intensities inside the ball agree with the scan's, up to a scale and an offset."""
    return float(np.corrcoef(array[INSIDE], SCAN[INSIDE])[0, 1])


def test_an_ordinary_scan_is_returned_as_it_is() -> None:
    for array in (SCAN, SCAN.astype(np.int16), np.where(INSIDE, SCAN, 0)):
        assert conditioned((array, GRID))[0] is array


@pytest.mark.parametrize("offset", [-32768.0, -5000.0, -1000.0, 4000.0, 32768.0, 1e6])
def test_an_offset_is_taken_off(offset: float) -> None:
    array, grid = conditioned((SCAN + np.float32(offset), GRID))
    assert grid is GRID
    assert same_contrast(array) > 0.999
    assert np.median(array[~INSIDE]) < 0.05 * np.median(array[INSIDE])


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e15, 1e30])
def test_any_scale_can_be_squared(scale: float) -> None:
    array, _ = conditioned((SCAN * np.float32(scale), GRID))
    assert same_contrast(array) > 0.999
    assert 0 <= array.min() <= array.max() <= 2


@pytest.mark.parametrize("value", [-1024.0, -3024.0, -32768.0])
def test_fill_outside_is_air(value: float) -> None:
    filled = SCAN.copy()
    filled[:, :, :8] = value
    array, _ = conditioned((filled, GRID))
    assert np.array_equal(array[:, :, :8], np.zeros_like(array[:, :, :8]))
    assert same_contrast(array) > 0.999


def test_what_became_zero_in_an_image_below_zero_is_limited() -> None:
    filled = SCAN - np.float32(60_000)
    filled[:, :, :8] = 0  # as NaN is read
    array, _ = conditioned((filled, GRID))
    assert same_contrast(array) > 0.999
    assert array[INSIDE].std() > 0.05


def test_a_few_hot_voxels_do_not_set_the_scale() -> None:
    hot = SCAN.copy()
    hot.reshape(-1)[::20_011] = 1e9
    array, _ = conditioned((hot, GRID))
    assert array.max() <= 2
    inside = INSIDE & (hot < 1e8)
    assert np.corrcoef(array[inside], SCAN[inside])[0, 1] > 0.999


def _uniform(rng: np.random.Generator) -> np.ndarray:
    return rng.random(GRID.shape)


def _flat(rng: np.random.Generator) -> np.ndarray:
    return np.full(GRID.shape, 1.1)


@pytest.mark.parametrize("background", [_uniform, _flat])
def test_a_background_that_is_not_dark_becomes_air(background: Callable[[np.random.Generator], np.ndarray]) -> None:
    air = 900 * background(np.random.default_rng(1))
    array, _ = conditioned((np.where(INSIDE, SCAN, air).astype(np.float32), GRID))
    assert (array[~INSIDE] == 0).mean() > 0.8
    assert np.corrcoef(array[CORE], SCAN[CORE])[0, 1] > 0.99


def test_a_field_of_view_inside_the_head_keeps_its_edges() -> None:
    part = np.s_[20:36, 22:42, 20:40]
    array = SCAN[part]
    assert conditioned((array, Grid(array.shape[::-1], GRID.index_to_lps)))[0] is array
