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
    import SimpleITK as sitk

    radius = [max(round(opening_mm / 2 / float(s)), 1) for s in grid.spacing]
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    opened = sitk.BinaryErode(image, radius, boundaryToForeground=True)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(opened), sortByObjectSize=True)
    if not sitk.GetArrayViewFromImage(parts).any():
        return None
    grown = sitk.BinaryDilate(parts == 1, [r + 1 for r in radius])
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.And(grown, sitk.Cast(image, grown.GetPixelID())))) > 0


def onto(mask: NDArray[np.bool_], grid: Grid, fine: Grid) -> NDArray[np.float32]:
    """Interpolate a coarse mask on a finer grid; (z, y, x) float32, 0 to 1."""
    wide = np.pad(mask, 1, mode="edge").astype(np.float32)  # the outer voxels of `fine` lie beyond the coarse centres
    shift = np.eye(4)
    shift[:3, 3] = -1
    padded = Grid(wide.shape[::-1], grid.index_to_lps @ shift)
    return resample(wide, padded, fine, np.eye(4))
