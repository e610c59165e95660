"""How smooth an image is inside the brain."""

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.refine.pyramid import PyramidLevel
from stnreg.registration.refine.region import BRAIN_SHARE, at_voxels

Array = np.ndarray
FWHM = float(np.sqrt(8 * np.log(2)))  # full width at half maximum of a Gaussian, in standard deviations
SMOOTHEST_MM = 14.0  # more is not measured: the local normalisation limits what is seen
LEAST_CORRELATION = 0.02
EVERY = 3


def smoothness_mm(level: PyramidLevel) -> float:
    """Return the smoothness of an image, full width at half maximum, mm, along its sharpest axis.

    From the autocorrelation of the locally normalised intensities in the brain, taken as that of a Gaussian random
    field (Forman et al., Magn. Reson. Med. 1995). Its fall from one voxel to two is used: white noise does not change
    that.

    Parameters
    ----------
    level : PyramidLevel
    """
    along = []
    for axis, spacing in enumerate(level.grid.spacing[::-1]):
        values = _lines(level, axis)
        near, far = (_autocorrelation(values, axis, lag) for lag in (1, 2))
        fall = np.log(max(near, LEAST_CORRELATION)) - np.log(max(far, LEAST_CORRELATION))
        along.append(float(FWHM * spacing * np.sqrt(3 / (4 * max(fall, 1e-6)))))
    return min(*along, SMOOTHEST_MM)


def _lines(level: PyramidLevel, axis: int) -> Array:
    """Return every `EVERY`-th line of voxels along an array axis, less their mean; NaN outside the brain."""
    steps = [1 if k == axis else EVERY for k in range(3)]
    few = level.values[tuple(slice(None, None, step) for step in steps)]
    grid = Grid(few.shape[::-1], level.grid.index_to_lps @ np.diag([*steps[::-1], 1.0]))
    inside = at_voxels((np.nan_to_num(level.share), level.share_grid), grid) > BRAIN_SHARE
    values = np.where(inside, few, np.nan)
    return values - np.nanmean(values) if inside.any() else values


def blurred(image: ArrayOnGrid, width_mm: float) -> ArrayOnGrid:
    """Blur an image by a Gaussian of a full width at half maximum, mm."""
    from scipy.ndimage import gaussian_filter

    array, grid = image
    return gaussian_filter(array, width_mm / FWHM / grid.spacing[::-1], truncate=3.0), grid


def _autocorrelation(values: Array, axis: int, lag: int) -> float:
    """Correlate values with those `lag` voxels further; NaN are left out."""
    count = values.shape[axis]
    here, there = values.take(range(count - lag), axis), values.take(range(lag, count), axis)
    both = np.isfinite(here) & np.isfinite(there)
    a, b = here[both], there[both]
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-12)) if len(a) else 0.0
