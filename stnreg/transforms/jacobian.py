"""Jacobian determinant of a displacement field, and its folds.

Liu, Chen, Wei, Carass, Prince: On Finite Difference Jacobian Computation in Deformable Image Registration. IJCV 2024,
arXiv 2212.06060 (2022). Central differences do not use the voxel itself, and miss folds. A cell of eight voxel
centres is cut into five tetrahedra, in two ways: one at each of its eight corners, and a central one in either way. The
piecewise linear map does not fold if and only if all ten keep their orientation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.transforms.sampling import Vectors, slabs, turned
from stnreg.transforms.tetrahedra import det, inverted

Array = NDArray[np.float32]
CELLS = 1 << 17  # about so many voxels per slab when cells are looked at: their edges fit into the cache


@dataclass(frozen=True)
class Folds:
    """Counts of the folds of a displacement field.

    Attributes
    ----------
    voxels : int
        Number of voxels that were tested.
    central : int
        Voxels with a determinant of at most 0 by central differences.
    digital : int
        Voxels with one of ten determinants at most 0: the eight of forward or backward differences at the voxel along
        each axis, and the two of the central tetrahedra of the cell that begins at it. None means a digital
        diffeomorphism.
    volume_mm3 : float
        The non-diffeomorphic volume: that of the inverted tetrahedra, mean of both ways to cut, mm^3 of the moving
        image in voxel units of the fixed one.
    percent_volume : float
        The same in percent of the volume of `voxels`.
    """

    voxels: int
    central: int
    digital: int
    volume_mm3: float
    percent_volume: float


def determinant(vectors: Vectors, grid: Grid) -> Array:
    """Return det(dx_moving / dx_fixed), (z, y, x) float32, of displacements (3, z, y, x), LPS mm, on their grid.

    By central differences, one-sided at the outer voxels; an axis of one voxel counts as without change.
    """
    found = np.empty(grid.shape, np.float32)
    for slab in slabs(grid):
        first, last = max(slab.start - 1, 0), min(slab.stop + 1, grid.shape[0])
        steps = _index_steps(vectors[:, first:last], grid)
        columns = []
        for axis in range(3):  # x, y, z
            column = _central(steps, 3 - axis)
            column[axis] += 1
            columns.append(column[:, slab.start - first : slab.stop - first])
        found[slab] = det(*columns)
    return found


def count_folds(vectors: Vectors, grid: Grid, mask: NDArray[np.bool_] | None = None) -> Folds:
    """Count the folds of displacements (3, z, y, x), LPS mm, on their grid; see `Folds`."""
    if mask is not None and mask.shape != grid.shape:
        raise DataError(f"expected a mask on the field's grid {grid.shape}, got {mask.shape}")
    central, digital, sixths = find_folds(vectors, grid)
    if mask is not None:
        central, digital, sixths = central & mask, digital & mask, sixths[mask]
    voxels = central.size if mask is None else int(mask.sum())
    # Each determinant is six times the volume of a tetrahedron, and both ways to cut a cell count half.
    volume = float(sixths.sum(dtype=np.float64)) / 12
    volume_mm3 = volume * abs(float(np.linalg.det(grid.index_to_lps[:3, :3])))
    return Folds(voxels, int(central.sum()), int(digital.sum()), volume_mm3, 100 * volume / max(voxels, 1))


def find_folds(vectors: Vectors, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Array]:
    """Find the folds of displacements (3, z, y, x), LPS mm, on their grid.

    Returns
    -------
    central, digital : (z, y, x) bool
        As `Folds` counts them.
    sixths : (z, y, x) float32
        Six times the inverted volume at each voxel, in voxels.
    """
    digital, sixths = np.zeros(grid.shape, bool), np.zeros(grid.shape, np.float32)
    for here, steps in _slabs_of_cells(vectors, grid):
        some, volume = inverted(steps)
        digital[here] |= some
        sixths[here] += volume
    has_cells = min(grid.shape) > 1
    return _central_folds(vectors, grid, digital if has_cells else np.ones(grid.shape, bool)), digital, sixths


def _central_folds(vectors: Vectors, grid: Grid, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which voxels of a mask (z, y, x) have a determinant of at most 0 by central differences.

    A central difference is the mean of the forward and the backward one, and a determinant is linear in each column: by
    central differences it is the mean of the eight at the corners of the cells around a voxel. So where there are
    cells, it can fold only where one of these does.
    """
    folded = np.zeros(grid.shape, bool)
    flat = np.flatnonzero(where)
    place = np.stack(np.unravel_index(flat, grid.shape))
    to_steps = grid.lps_to_index[:3, :3].astype(np.float32)
    columns = []
    for axis in (2, 1, 0):  # x, y, z
        before, after = place.copy(), place.copy()
        before[axis] = np.maximum(place[axis] - 1, 0)
        after[axis] = np.minimum(place[axis] + 1, grid.shape[axis] - 1)
        apart = np.maximum(after[axis] - before[axis], 1).astype(np.float32)
        change = to_steps @ (vectors[(slice(None), *after)] - vectors[(slice(None), *before)])
        columns.append(change / apart)
        columns[-1][2 - axis] += 1
    folded.reshape(-1)[flat] = det(*columns) <= 0
    return folded


def _slabs_of_cells(vectors: Vectors, grid: Grid) -> Iterator[tuple[slice, Array]]:
    """Yield displacements in voxels, slab by slab: the slab, and what its cells need; slabs share a slice of voxels."""
    if min(grid.shape) < 2:  # no cells
        return
    for slab in slabs(grid, CELLS):
        stop = min(slab.stop, grid.shape[0] - 1)  # cells, one fewer than slices
        if stop > slab.start:
            yield slice(slab.start, stop + 1), _index_steps(vectors[:, slab.start : stop + 1], grid)


def _index_steps(vectors: Vectors, grid: Grid) -> Array:
    """Convert displacements, LPS mm, to voxels along the axes of the grid, so that a flipped grid is no fold."""
    return turned(grid.lps_to_index[:3, :3], vectors)


def _central(array: Array, axis: int) -> Array:
    """Differentiate along an axis, per voxel; zero where the axis has one voxel."""
    if array.shape[axis] < 2:
        return np.zeros_like(array)
    return np.gradient(array, axis=axis)
