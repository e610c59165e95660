"""A synthetic head made of plane waves: any two scans of it are exact samples of one function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid

Image = tuple[np.ndarray, Grid]
RADII_MM = np.array([62.0, 76.0, 60.0])
WAVES = 30


@dataclass(frozen=True)
class Head:
    """Plane waves inside one ellipsoid of a brain, LPS mm about its middle."""

    frequencies: np.ndarray  # (WAVES, 3) rad / mm
    phases: np.ndarray

    def scan(
        self,
        head_to_scan: np.ndarray,
        grid: Grid | None = None,
        *,
        noise: float = 0.0,
        contrast: Callable[[np.ndarray], np.ndarray] = lambda shares: shares,
    ) -> Image:
        """Return the intensities: 0.2 around the brain, about 0.5 to 1.1 in it."""
        grid = grid or Grid.cube((0.4, -0.3, 0.2), 68, 3.0)
        points = _points(grid, head_to_scan)
        waves = np.zeros(len(points), np.float32)
        for frequency, phase in zip(self.frequencies, self.phases, strict=True):
            waves += np.cos(points @ frequency + phase)
        inside = np.clip((1.0 - np.linalg.norm(points / RADII_MM, axis=1)) * 12 + 0.5, 0, 1)
        image = contrast((0.2 + inside * (0.6 + 0.04 * waves)).astype(np.float32))
        image = image + noise * np.random.default_rng(len(points)).standard_normal(image.shape, dtype=np.float32)
        return image.reshape(grid.shape), grid

    def brain(self, head_to_scan: np.ndarray) -> Image:
        """Return a brain map like that of a network: soft, 5 mm, rotated with the head."""
        cube = Grid.cube((0, 0, 0), 40, 5.0)
        grid = Grid(cube.size, head_to_scan @ cube.index_to_lps)
        radius = np.linalg.norm(_points(grid, head_to_scan) / RADII_MM, axis=1)
        return np.clip((1.0 - radius) * 8 + 0.5, 0, 1).astype(np.float32).reshape(grid.shape), grid

    def points(self) -> np.ndarray:
        """Return points all over the brain."""
        points = np.random.default_rng(0).uniform(-1, 1, (2000, 3)) * RADII_MM
        return points[np.linalg.norm(points / RADII_MM, axis=1) < 1]


def _points(grid: Grid, head_to_scan: np.ndarray) -> np.ndarray:
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T
    return apply_affine(invert(head_to_scan) @ grid.index_to_lps, index).astype(np.float32)


def make_head(seed: int) -> Head:
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length_mm = rng.uniform(16, 45, (WAVES, 1))
    frequencies = (2 * np.pi / length_mm * direction).astype(np.float32)
    return Head(frequencies, rng.uniform(0, 2 * np.pi, WAVES).astype(np.float32))


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head(1)


@pytest.fixture(scope="session")
def other_head() -> Head:
    return make_head(2)
