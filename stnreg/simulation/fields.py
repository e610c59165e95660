"""Smooth random fields and blurs; arrays are (z, y, x) float32."""

import numpy as np
from numpy.typing import NDArray

from stnreg.core.itk import itk_for
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample

Array = NDArray[np.float32]
Shape = tuple[int, ...]


def smooth_field(shape: Shape, knots: int | Shape, rng: np.random.Generator) -> Array:
    """Draw a smooth field: standard normal numbers at `knots` points per axis, linearly interpolated.

    Parameters
    ----------
    shape : (z, y, x)
    knots : int or (z, y, x)
    rng : numpy.random.Generator
    """
    counts = (knots,) * 3 if isinstance(knots, int) else knots
    return stretched(rng.standard_normal(counts, dtype=np.float32), shape)


def stretched(coarse: Array, shape: Shape) -> Array:
    """Interpolate a coarse array to a shape; the outer voxel centres coincide."""
    ratio = [(c - 1) / max(n - 1, 1) for c, n in zip(coarse.shape, shape, strict=True)]
    z, y, x = shape
    fine = Grid((x, y, z), np.diag([*ratio[::-1], 1.0]))
    return resample(coarse, Grid(coarse.shape[::-1], np.eye(4)), fine, np.eye(4))


def blurred(image: Array, *sigma_voxels: float) -> Array:
    """Blur by a Gaussian; one sigma for all axes, or three along (x, y, z). Axes with zero are not blurred."""
    sitk = itk_for("a simulation")

    widths = list(sigma_voxels) * 3 if len(sigma_voxels) == 1 else list(sigma_voxels)
    if max(widths) <= 0:
        return image
    # An error of 1 % of the kernel is far below the noise, and three times faster.
    variances = [max(width, 1e-3) ** 2 for width in widths]
    picture = sitk.GetImageFromArray(image)
    picture = sitk.DiscreteGaussian(picture, variances, maximumError=0.01, useImageSpacing=False)
    return sitk.GetArrayFromImage(picture)


def voronoi_parts(shape: Shape, parts: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Split a box into random Voronoi parts with ragged borders, (z, y, x) integers."""
    coarse = tuple(max(n // 4, 1) for n in shape)
    line = [np.linspace(0, 1, n, dtype=np.float32) for n in coarse]
    points = np.stack(np.meshgrid(*line, indexing="ij"), -1)
    points += 0.015 * rng.standard_normal(points.shape, dtype=np.float32)
    nearest = np.full(coarse, np.inf, np.float32)
    owner = np.zeros(coarse, np.intp)
    for k, seed in enumerate(rng.random((parts, 3), dtype=np.float32)):
        distance = ((points - seed) ** 2).sum(-1)
        closer = distance < nearest
        nearest[closer], owner[closer] = distance[closer], k
    index = [np.arange(n) * c // n for n, c in zip(shape, coarse, strict=True)]
    return owner[np.ix_(*index)]
