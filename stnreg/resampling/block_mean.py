"""Downsampling by block means."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import runs_backwards


def shrink_factors(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
    """Return the number of voxels along x, y, z in a block of at most `spacing_mm`."""
    x, y, z = (max(int(np.floor(spacing_mm / s + 0.05)), 1) for s in grid.spacing)
    return min(x, grid.size[0]), min(y, grid.size[1]), min(z, grid.size[2])


def block_mean(array: np.ndarray, grid: Grid, spacing_mm: float) -> tuple[np.ndarray, Grid]:
    """Average blocks of voxels of at most `spacing_mm`; incomplete blocks are dropped.

    They are dropped at the left, posterior and superior ends, so that the blocks do not depend on the orientation of
    the voxel array.

    Parameters
    ----------
    array : (z, y, x) ndarray
        Any real type.
    grid : Grid
        Grid of `array`.
    spacing_mm : float
        Largest edge of a block, mm; axes with larger voxels are not averaged.

    Returns
    -------
    means : (z', y', x') float32
    coarse : Grid
        Its voxel centres are the centres of the blocks.
    """
    fx, fy, fz = shrink_factors(grid, spacing_mm)
    nx, ny, nz = (n // f for n, f in zip(grid.size, (fx, fy, fz), strict=True))
    used = (nx * fx, ny * fy, nz * fz)
    first = [n - m if back else 0 for n, m, back in zip(grid.size, used, runs_backwards(grid), strict=True)]
    x, y, z = (slice(a, a + m) for a, m in zip(first, used, strict=True))
    kept = array[z, y, x]
    # Rows are added first: they are contiguous, and each voxel is read once.
    rows = np.zeros((nz, ny, nx * fx), np.float32)
    for k in range(fz):
        for j in range(fy):
            rows += kept[k::fz, j::fy]
    out = sum((rows[:, :, i::fx] for i in range(1, fx)), start=rows[:, :, ::fx].copy())
    out /= np.float32(fx * fy * fz)
    block_to_index = np.diag([fx, fy, fz, 1.0])
    block_to_index[:3, 3] = first + (np.array([fx, fy, fz]) - 1) / 2
    return out, Grid((nx, ny, nz), grid.index_to_lps @ block_to_index)


class BlockMeans:
    """One image averaged to blocks of several sizes, each at most once.

    Larger blocks are not averaged from smaller ones: the rounding of it moves some registrations by 0.1 mm.

    Parameters
    ----------
    array : (z, y, x) ndarray
        Any real type.
    grid : Grid
        Grid of `array`.
    """

    def __init__(self, array: np.ndarray, grid: Grid) -> None:
        self.array, self.grid = array, grid
        self._known: dict[tuple[int, int, int], tuple[np.ndarray, Grid]] = {}

    def at(self, spacing_mm: float) -> tuple[np.ndarray, Grid]:
        """Return what `block_mean` does; not to be written to."""
        factors = shrink_factors(self.grid, spacing_mm)
        if factors not in self._known:
            self._known[factors] = block_mean(self.array, self.grid, spacing_mm)
        return self._known[factors]
