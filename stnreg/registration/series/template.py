"""The template of a series: its grid, the visits on it with matched intensities, and their median or mean."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import Interpolation, resample

Array = np.ndarray
Average = Literal["median", "mean"]
FOREGROUND_SHARE = 0.1  # of the brightest
MARGIN_MM = 4.0
BLOCK_MM = 4.0


def template_grid(visits: Sequence[ArrayOnGrid], maps: Sequence[Matrix], spacing_mm: float | None = None) -> Grid:
    """Return a grid of isotropic voxels along L, P, S that holds the head of every visit.

    Parameters
    ----------
    visits : sequence of (array, Grid)
    maps : sequence of (4, 4) float64
        From the space of the template to each visit, LPS mm.
    spacing_mm : float, optional
        The median over the visits of the cube root of their voxels' volume by default.
    """
    sizes = [float(abs(np.linalg.det(grid.index_to_lps[:3, :3])) ** (1 / 3)) for _, grid in visits]
    spacing = spacing_mm or round(float(np.median(sizes)), 3)
    bounds = []
    for (array, grid), to_visit in zip(visits, maps, strict=True):
        means, coarse = block_mean(array, grid, BLOCK_MM)
        seen = np.argwhere(means > FOREGROUND_SHARE * np.percentile(means, 99.5))[:, ::-1].astype(float)
        points = apply_affine(invert(to_visit) @ coarse.index_to_lps, seen)
        bounds.append(np.percentile(points, (0.05, 99.95), axis=0))  # a few voxels of noise do not count
    low, high = np.min(bounds, axis=0)[0] - MARGIN_MM, np.max(bounds, axis=0)[1] + MARGIN_MM
    size = np.ceil((high - low) / spacing).astype(int) + 1
    return Grid.from_parts(size, (spacing,) * 3, (low + high) / 2 - (size - 1) / 2 * spacing)


def on_grid(visit: ArrayOnGrid, grid: Grid, to_visit: Matrix, interp: Interpolation, threads: int) -> Array:
    """Resample a visit to the template's grid, (z, y, x) float32; NaN outside its field of view."""
    return resample(visit[0], visit[1], grid, to_visit, interp, background=np.nan, threads=threads)


def gains(visits: Sequence[Array], brain: Array) -> list[float]:
    """Return the factor of each visit that gives all the same brightness: their geometric mean.

    Parameters
    ----------
    visits : sequence of (z, y, x) float32
        On one grid.
    brain : (z, y, x) bool
    """
    level = np.array([max(float(np.nanmedian(visit[brain])), 1e-6) for visit in visits])
    return [float(factor) for factor in np.exp(np.log(level).mean()) / level]


def average(visits: Sequence[Array], how: Average) -> Array:
    """Return the median or the mean of visits on one grid; where some do not show a voxel, of the others; else 0."""
    seen = np.isfinite(visits[0])
    for visit in visits[1:]:
        seen = seen & np.isfinite(visit)
    if seen.all():
        stack = np.stack(visits)
        return np.asarray(np.median(stack, axis=0) if how == "median" and len(visits) > 2 else stack.mean(axis=0))
    out = np.zeros(visits[0].shape, np.float32)
    stack = np.stack([visit[seen] for visit in visits])
    out[seen] = np.median(stack, axis=0) if how == "median" and len(visits) > 2 else stack.mean(axis=0)
    rest = np.stack([visit[~seen] for visit in visits])
    count = np.isfinite(rest).sum(0)
    out[~seen] = np.where(count > 0, np.nansum(rest, axis=0) / np.maximum(count, 1), 0)
    return out
