"""Connected parts of a coarse mask."""

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample


def largest_component(mask: NDArray[np.bool_], grid: Grid, opening_mm: float) -> NDArray[np.bool_] | None:
    """Return the largest part of a mask once what is thinner than `opening_mm` is removed, its holes filled.

    Parameters
    ----------
    mask : (z, y, x) bool
    grid : Grid
    opening_mm : float

    Returns
    -------
    (z, y, x) bool or None
        None if nothing is left.
    """
    from scipy import ndimage

    radius = np.array([max(round(opening_mm / 2 / float(s)), 1) for s in grid.spacing[::-1]])
    opened = ndimage.binary_erosion(mask, ellipsoid(radius), border_value=1)
    parts, count = ndimage.label(opened)
    if count == 0:
        return None
    largest = parts == np.bincount(parts.reshape(-1))[1:].argmax() + 1
    return filled(ndimage.binary_dilation(largest, ellipsoid(radius + 1)) & mask)


def ellipsoid(radius: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return a structuring element of these radii in voxels, one per axis: what lies within half a voxel more."""
    offsets = np.meshgrid(*(np.arange(-r, r + 1) / (r + 0.5) for r in radius), indexing="ij")
    return np.sum(np.square(offsets), axis=0) <= 1


def filled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the holes of a region of any number of axes: what is not connected with the border, face to face."""
    from scipy import ndimage

    parts, count = ndimage.label(~inside)
    is_hole = np.ones(count + 1, bool)
    for axis in range(inside.ndim):
        for side in (0, -1):
            is_hole[np.unique(parts.take(side, axis))] = False
    is_hole[0] = False
    return inside | is_hole[parts]


def onto(mask: NDArray[np.bool_], grid: Grid, fine: Grid) -> NDArray[np.float32]:
    """Interpolate a coarse mask on a finer grid; (z, y, x) float32, 0 to 1."""
    wide = np.pad(mask, 1, mode="edge").astype(np.float32)  # the outer voxels of `fine` lie beyond the coarse centres
    shift = np.eye(4)
    shift[:3, 3] = -1
    padded = Grid(wide.shape[::-1], grid.index_to_lps @ shift)
    return resample(wide, padded, fine, np.eye(4))
