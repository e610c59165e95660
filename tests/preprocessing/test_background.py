"""Backgrounds that are judged by the edges of the field of view."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.background import without_background

GRID = Grid.from_parts((50, 50, 50), (4.0, 4.0, 4.0), (-100, -100, -100))
BALL = np.linalg.norm(np.indices(GRID.shape) - 25, axis=0) < 16


def test_a_dark_background_with_little_noise_is_left() -> None:
    noise = np.abs(np.random.default_rng(0).normal(0, 0.04, GRID.shape))
    array = np.where(BALL, 1.0, noise)
    assert without_background((array, GRID)) is array


def test_a_bright_one_is_removed_whatever_is_inside_the_head() -> None:
    array = np.where(BALL, 0.4, 1.0)
    array[22:28, 22:28, 22:28] = 1.0  # as bright as the background, and inside
    out = without_background((array, GRID))
    assert (out[~BALL] == 0).mean() > 0.85
    assert out[25, 25, 25] > 0


def test_noise_all_over_is_no_background() -> None:
    array = np.random.default_rng(0).random(GRID.shape)
    assert without_background((array, GRID)) is array
