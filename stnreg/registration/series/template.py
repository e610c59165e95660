"""The template of a series: its grid, the visits on it with matched intensities, and their median or mean."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.region import box_mean
from stnreg.registration.series.contrast import smoothed
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import Interpolation, resample

Array = np.ndarray
Average = Literal["median", "mean"]
FOREGROUND_SHARE = 0.1  # of the brightest
MARGIN_MM = 4.0
BLOCK_MM = 4.0
SMOOTH_MM = 48.0  # edge of the box in which the brightness of two visits is compared
TISSUE_SHARE = 0.7  # of the typical brightness of the brain: darker voxels say little of the bias field


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


def evened(visits: Sequence[Array], grid: Grid, weight: Array) -> list[Array]:
    """Return the visits with one brightness and one bias field: the geometric mean of theirs.

    The smooth part of the logarithm of a visit over the mean of all is its own share of bias field and gain. It is
    found from voxels of tissue, in boxes of `SMOOTH_MM`, and divided out.

    Parameters
    ----------
    visits : sequence of (z, y, x) float32
        On `grid`, of similar brightness; NaN outside the field of view.
    grid : Grid
    weight : (z, y, x) float32
        How much each voxel counts; 0 outside the head.
    """
    mean = np.mean([np.nan_to_num(visit) for visit in visits], axis=0)
    inside = weight > 0.5
    # Chosen by the smoothed mean of all: a choice by single voxels would favour the bright ones of a noisy visit.
    near = smoothed(mean, 1.0)
    tissue = near > TISSUE_SHARE * (float(np.median(near[inside])) if inside.any() else 1.0)
    share = np.where(tissue & np.all([np.isfinite(visit) for visit in visits], axis=0), weight, 0).astype(np.float32)
    parts = [_smooth_log_ratio(np.nan_to_num(visit), mean, grid, share) for visit in visits]
    common = np.mean([coarse for coarse, _ in parts], axis=0)
    out = []
    for visit, (coarse, coarse_grid) in zip(visits, parts, strict=True):
        field = resample((coarse - common).astype(np.float32), coarse_grid, grid, np.eye(4), "linear")
        out.append(visit * np.exp(-field))
    return out


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


def _smooth_log_ratio(visit: Array, mean: Array, grid: Grid, share: Array) -> ArrayOnGrid:
    """Return the logarithm of the smoothed visit over the smoothed mean, in blocks of `BLOCK_MM`.

    A ratio of sums: the mean of the logarithms of noisy voxels would depend on the noise.
    """
    top, coarse = block_mean((visit * share).astype(np.float32), grid, BLOCK_MM)
    bottom, _ = block_mean((mean * share).astype(np.float32), grid, BLOCK_MM)
    reach = [max(round(SMOOTH_MM / 4 / float(s)), 1) for s in coarse.spacing[::-1]]
    for _ in range(2):  # a box twice: closer to a Gaussian
        top, bottom = box_mean(top, reach), box_mean(bottom, reach)
    overall = float(top.sum() / max(float(bottom.sum()), 1e-6))
    pull = np.float32(1e-3 * float(bottom.max()))  # far from tissue: the mean of the head
    return np.log(np.maximum(top + pull * overall, 1e-6) / np.maximum(bottom + pull, 1e-6)), coarse
