"""Tetrahedra of a displacement field in voxels: whether the piecewise linear map between voxel centres folds.

A cell of eight voxel centres is cut into five tetrahedra, in two ways: one at each of its eight corners, and a central
one in either way (Liu et al., IJCV 2024, arXiv 2212.06060). The map does not fold if and only if all ten keep their
orientation. Displacements are (3, z, y, x), x first, in voxels.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
SURE = np.float32(0.95)
"""Cells whose `row_bound` is below this do not fold; the rest up to 1 is for rounding."""
MUCH = 0.2  # share of the voxels beyond which all are looked at: to gather the corners of some cells takes longer
BOUND_VOXELS = 1 << 15  # about so many at a time, for the largest bound of many cells
FIRST, SECOND = slice(None, -1), slice(1, None)


def tetrahedra(steps: Array) -> Iterator[tuple[tuple[slice, ...], Array]]:
    """Yield, for each of the ten tetrahedra of a cell, the voxel it belongs to and six times its signed volume.

    `steps` are displacements (3, z, y, x, ...) in voxels; the identity has 1 at the corners and 2 in the centre.
    """
    along_x, along_y, along_z = (np.diff(steps, axis=axis) for axis in (3, 2, 1))
    for axis, edge in enumerate((along_x, along_y, along_z)):
        edge[axis] += 1
    sides = (FIRST, SECOND)

    def x(b: int, c: int) -> Array:
        return along_x[:, sides[c], sides[b]]

    def y(a: int, c: int) -> Array:
        return along_y[:, sides[c], :, sides[a]]

    def z(a: int, b: int) -> Array:
        return along_z[:, :, sides[b], sides[a]]

    for a, b, c in product((0, 1), repeat=3):
        yield (sides[c], sides[b], sides[a]), det(x(b, c), y(a, c), z(a, b))
    begin = (FIRST, FIRST, FIRST)
    # Corners 000 110 101 011, from the first of them; then 111 001 010 100. Both are left-handed in that order.
    yield begin, -det(x(0, 0) + y(1, 0), x(0, 0) + z(1, 0), y(0, 0) + z(0, 1))
    yield begin, -det(x(1, 1) + y(0, 1), x(1, 1) + z(0, 1), y(1, 1) + z(1, 0))


def smallest(steps: Array) -> Array:
    """Return the smallest of the ten of each voxel, (z, y, x) float32, of displacements (3, z, y, x).

    The identity has 1; at or below 0 the map folds there. The last voxels along each axis have fewer.
    """
    found = np.full(steps.shape[1:], np.inf, np.float32)
    for place, tetrahedron in tetrahedra(steps):
        target = found[place]
        np.minimum(target, tetrahedron, out=target)
    return found


def inverted(steps: Array) -> tuple[NDArray[np.bool_], Array]:
    """Find inverted tetrahedra; cells that surely do not fold (see `row_bound`) are not looked at.

    Parameters
    ----------
    steps : (3, z, y, x) float32

    Returns
    -------
    folded : (z, y, x) bool
        Whether one of the ten of a voxel has no volume or a negative one.
    sixths : (z, y, x) float32
        Six times the volume of those that are inverted, positive.
    """
    folded, sixths = np.zeros(steps.shape[1:], bool), np.zeros(steps.shape[1:], np.float32)
    first, offsets, corners = _gathered(steps, row_bound(steps) >= SURE)
    for place, tetrahedron in tetrahedra(corners):
        at, volume = first + int(offsets[place].item()), tetrahedron.reshape(-1)
        folded.reshape(-1)[at] |= volume <= 0
        sixths.reshape(-1)[at] -= np.minimum(volume, 0)
    return folded, sixths


def row_bound(steps: Array) -> Array:
    """Bound how far the tetrahedra of each cell, (z - 1, y - 1, x - 1, ...), are from the identity's.

    On a tetrahedron the displacement is linear. Let d_j be the largest size of the difference of its component i along
    the four edges of the cell in axis j. Then the sizes of its derivatives sum to at most d_x + d_y + d_z. At a corner
    they are those differences. The six edges of a central tetrahedron are diagonals of the faces of the cell: the sum
    and the difference of two derivatives j and k are differences along two edges, hence |g_j| + |g_k| <= d_j + d_k; add
    the three pairs. The largest sum of the three components is returned. Below 1 the diagonal of the Jacobian matrix
    dominates each row, so that its determinant is positive and none of the ten is inverted.
    """
    found = np.zeros([n - 1 for n in steps.shape[1:4]] + list(steps.shape[4:]), np.float32)
    for component in steps:
        total = np.zeros_like(found)
        for axis in range(3):
            largest = np.abs(np.diff(component, axis=axis))
            for other in range(3):
                if other != axis:
                    first, second = _sides(other)
                    largest = np.maximum(largest[first], largest[second])
            total += largest
        np.maximum(found, total, out=found)
    return found


def largest_row_bound(steps: Array, where: NDArray[np.bool_] | None = None) -> float:
    """Return the largest `row_bound` of (3, z, y, x); with a mask (z, y, x), of the cells that have a corner in it."""
    if where is not None:
        return float(row_bound(_gathered(steps, _of_cells(where))[2]).max(initial=0.0))
    # A few slices at a time, which fit into the cache.
    depth, height, width = steps.shape[1:]
    slices = max(BOUND_VOXELS // (height * width), 1)
    starts = range(0, depth - 1, slices)
    return max((float(row_bound(steps[:, k : k + slices + 1]).max(initial=0.0)) for k in starts), default=0.0)


def _gathered(steps: Array, cells: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Return the corners of some cells as displacements (3, 2, 2, 2, N), and where they are.

    Returns
    -------
    first : (N,) int
        Flat index of the first voxel of each cell.
    offsets : (2, 2, 2) int
        Of its corners from that.
    corners : (3, 2, 2, 2, N) float32
    """
    shape = steps.shape[1:]
    offsets = np.ravel_multi_index(tuple(np.indices((2, 2, 2))), shape)
    # The first voxel of each cell, in the flat array of all voxels.
    first = np.flatnonzero(np.pad(cells, [(0, 1)] * 3))
    corners = np.empty((3, 8, len(first)), np.float32)
    for component, found in zip(steps.reshape(3, -1), corners, strict=True):
        for offset, corner in zip(offsets.flat, found, strict=True):
            np.take(component[offset:], first, out=corner)
    return first, offsets, corners.reshape(3, 2, 2, 2, -1)


def smallest_again(before: Array, steps: Array, where: NDArray[np.bool_]) -> Array:
    """Return the smallest of the ten of each voxel, where displacements have changed in a mask.

    Parameters
    ----------
    before : (z, y, x) float32
        Of the displacements as they were.
    steps : (3, z, y, x) float32
        As they are.
    where : (z, y, x) bool
        Elsewhere they have not changed.
    """
    around = grown(where)
    if np.count_nonzero(around) > MUCH * around.size:
        return smallest(steps)
    found = np.where(around, np.float32(np.inf), before)
    first, offsets, corners = _gathered(steps, _of_cells(around))
    values = found.reshape(-1)
    for place, tetrahedron in tetrahedra(corners):
        at = first + int(offsets[place].item())
        values[at] = np.minimum(values[at], tetrahedron.reshape(-1))
    return found


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask (z, y, x) with all 26 neighbours of its voxels."""
    out = mask
    for axis in range(3):
        first, second = _sides(axis)
        wide = out.copy()
        wide[first] |= out[second]
        wide[second] |= out[first]
        out = wide
    return out


def _of_cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which cells, (z - 1, y - 1, x - 1), have a corner in a mask."""
    out = mask
    for axis in range(3):
        first, second = _sides(axis)
        out = out[first] | out[second]
    return out


def _sides(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what takes all but the last, and all but the first, of (z, y, x) along an axis."""
    before = (slice(None),) * axis
    return (*before, FIRST), (*before, SECOND)


def det(p: Array, q: Array, r: Array) -> Array:
    """Return the determinant of three columns, each (3, ...)."""
    return (
        p[0] * (q[1] * r[2] - q[2] * r[1])
        - p[1] * (q[0] * r[2] - q[2] * r[0])
        + p[2] * (q[0] * r[1] - q[1] * r[0])
    )  # fmt: skip
