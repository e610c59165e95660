"""LPS and RAS, axis codes, and reordering to the closest canonical orientation."""

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""(4, 4): LPS to RAS, and RAS to LPS."""


def lps_from_ras(index_to_ras: ArrayLike) -> Matrix:
    """Convert a matrix that maps to RAS into one that maps to LPS, or vice versa: (4, 4)."""
    return np.asarray(FLIP @ np.asarray(index_to_ras, dtype=np.float64))


def swap_lps_ras(a_to_b: ArrayLike) -> Matrix:
    """Convert a map between RAS points to the same map between LPS points, or vice versa: (4, 4)."""
    return np.asarray(FLIP @ np.asarray(a_to_b, dtype=np.float64) @ FLIP, dtype=np.float64)


def axis_codes(grid: Grid) -> str:
    """Return the axis codes of a grid: the direction of each voxel axis (x, y, z), as in nibabel.

    Examples
    --------
    >>> axis_codes(Grid(size=(2, 3, 4), index_to_lps=np.eye(4)))
    'LPS'
    """
    axes, signs = _nearest_axes(grid)
    return "".join(("RL", "AP", "IS")[axis][int(sign > 0)] for axis, sign in zip(axes, signs, strict=True))


def closest_canonical(array: NDArray[Any], grid: Grid) -> tuple[NDArray[Any], Grid]:
    """Flip and permute voxel axes so that they run as close to +L, +P, +S as they can; nothing is resampled.

    Parameters
    ----------
    array : (z, y, x)
        On `grid`.
    grid : Grid
        Grid of `array`.

    Returns
    -------
    array : (z, y, x)
        A view of the same voxels.
    grid : Grid
        Every voxel keeps its place in LPS.
    """
    axes, signs = _nearest_axes(grid)
    order = np.argsort(axes)  # the voxel axis that runs along L, P, S
    new_to_old = np.eye(4)
    new_to_old[:3, :3] = 0.0
    for new, old in enumerate(order):
        new_to_old[old, new] = signs[old]
        new_to_old[old, 3] = 0.0 if signs[old] > 0 else grid.size[old] - 1
    turned = np.transpose(array, [2 - int(order[2 - axis]) for axis in range(3)])
    turned = turned[tuple(slice(None, None, int(signs[order[2 - axis]])) for axis in range(3))]
    x, y, z = (grid.size[old] for old in order)
    return turned, Grid((x, y, z), grid.index_to_lps @ new_to_old)


def runs_backwards(grid: Grid) -> tuple[bool, bool, bool]:
    """Return for each voxel axis (x, y, z) whether it runs against its closest LPS axis."""
    x, y, z = (bool(sign < 0) for sign in _nearest_axes(grid)[1])
    return x, y, z


def _nearest_axes(grid: Grid) -> tuple[tuple[int, ...], NDArray[np.int64]]:
    """For each voxel axis, the LPS axis it is closest to (each used once), and the sign along it."""
    direction = grid.direction
    best = max(permutations(range(3)), key=lambda axes: sum(abs(direction[axis, i]) for i, axis in enumerate(axes)))
    signs = np.array([1 if direction[axis, i] >= 0 else -1 for i, axis in enumerate(best)])
    return best, signs
