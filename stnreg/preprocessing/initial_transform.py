"""Initial transforms: a translation that aligns two centres, as ITK's CenteredTransformInitializer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points
from stnreg.images.volume import Volume

FOREGROUND_SHARE = 0.2  # of the 99th percentile, above the minimum


def center_geometry(fixed_grid: Grid, moving_grid: Grid) -> Matrix:
    """Align the centres of the grids: (4, 4) `fixed_to_moving`, LPS mm."""
    return _translation(moving_grid.center_lps - fixed_grid.center_lps)


def center_moments(fixed: Volume, moving: Volume) -> Matrix:
    """Align the centres of mass: (4, 4) `fixed_to_moving`, LPS mm.

    Raises
    ------
    DataError
        If the voxels of an image sum to zero, so that it has no centre of mass.
    """
    return _translation(center_of_mass(moving) - center_of_mass(fixed))


def center_of_mass(volume: Volume) -> Points:
    """Return the mean position of the voxels, weighted by intensity: (3,), LPS mm."""
    array: NDArray[Any] = volume.array
    plane: NDArray[np.float64] = array.sum(axis=0, dtype=np.float64)  # (y, x)
    profiles = plane.sum(axis=0), plane.sum(axis=1), array.sum(axis=(1, 2), dtype=np.float64)  # along x, y, z
    mass = float(profiles[0].sum())
    if mass == 0 or not np.isfinite(mass):
        raise DataError(f"{volume.path}: its intensities sum to {mass:g}; it has no centre of mass.")
    index = [float(profile @ np.arange(len(profile))) / mass for profile in profiles]
    return apply_affine(volume.grid.index_to_lps, index)


def center_of_foreground(volume: Volume) -> Points:
    """Return the mean position of the voxels that are not air: (3,), LPS mm; the grid's centre if all are alike."""
    array: NDArray[Any] = volume.array[::2, ::2, ::2]  # every second voxel tells it as well
    low, high = float(array.min()), float(np.percentile(array, 99))
    inside = array > low + FOREGROUND_SHARE * (high - low)
    if not inside.any():
        return volume.grid.center_lps
    counts = inside.sum(axis=(0, 1)), inside.sum(axis=(0, 2)), inside.sum(axis=(1, 2))  # along x, y, z
    index = [2 * float(count @ np.arange(len(count))) / float(count.sum()) for count in counts]
    return apply_affine(volume.grid.index_to_lps, index)


def _translation(offset: Points) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix
