"""Smooth displacements in closed form, on any grid."""

from collections.abc import Callable

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import voxel_points

Smooth = Callable[..., DisplacementField]


def displacement(points: np.ndarray, length_mm: float = 6.0) -> np.ndarray:
    """Displace points (..., 3), LPS mm, by a few mm; waves of 200 mm and more, no two axes alike."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0) / 35.0
    return length_mm * np.stack(
        [np.sin(y + 0.4) * np.cos(0.7 * z), 0.8 * np.cos(x) * np.sin(z + 1), 0.6 * np.sin(x + y)], -1
    )


@pytest.fixture(scope="session")
def smooth() -> Smooth:
    def make(grid: Grid, length_mm: float = 6.0) -> DisplacementField:
        return DisplacementField.from_last_axis(
            displacement(np.moveaxis(voxel_points(grid), 0, -1), length_mm), grid
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def inside() -> Callable[..., np.ndarray]:
    """Draw points well inside a grid, (N, 3), LPS mm."""

    def draw(grid: Grid, count: int = 200, margin: float = 0.25) -> np.ndarray:
        share = np.random.default_rng(3).uniform(margin, 1 - margin, (count, 3))
        index = share * (np.array(grid.size) - 1)
        return index @ grid.index_to_lps[:3, :3].T + grid.index_to_lps[:3, 3]

    return draw
