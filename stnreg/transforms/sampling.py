"""Trilinear interpolation of vector fields; beyond the edge the nearest value is used."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points

Vectors = NDArray[np.float32]
CHUNK = 1 << 16
"""Points per chunk: their neighbours and weights fit into the cache, and two threads rarely wait for one another."""
SLAB = 1 << 19
"""Approximate voxels per slab: their points take 12 MB."""


def voxel_points(grid: Grid, slices: slice = slice(None)) -> Points:
    """Return the LPS points, mm, of the voxel centres of some slices: (3, z, y, x) float64."""
    x, y, z = (np.arange(count, dtype=np.float64) for count in grid.size)
    z = z[slices]
    points = np.empty((3, len(z), len(y), len(x)))
    for place, (a, b, c, start) in zip(points, grid.index_to_lps[:3], strict=True):
        np.add((b * y + start)[:, None] + (c * z)[:, None, None], a * x, out=place)
    return points


def slabs(grid: Grid, voxels: int = SLAB) -> Iterator[slice]:
    """Split a grid along z into slabs of about `voxels` voxels, at least one slice each."""
    x, y, z = grid.size
    step = max(voxels // (x * y), 1)
    for start in range(0, z, step):
        yield slice(start, min(start + step, z))


def moved(matrix: Matrix, points: Points) -> Points:
    """Map points (3, N) by a (4, 4) matrix."""
    return matrix[:3, :3] @ points + matrix[:3, 3:]


def turned(linear: Matrix, vectors: NDArray[np.floating]) -> Vectors:
    """Transform vectors (3, z, y, x) by a (3, 3) matrix; float32, a few slices at a time."""
    small = linear.astype(np.float32)
    if not (small - np.diag(np.diag(small))).any():
        return vectors.astype(np.float32, copy=False) * np.diag(small).reshape(3, 1, 1, 1)
    turned = np.empty(vectors.shape, np.float32)
    step = max(CHUNK // max(vectors[0, :1].size, 1), 1)
    for k in range(0, vectors.shape[1], step):
        some = vectors[:, k : k + step]
        turned[:, k : k + step] = (small @ some.reshape(3, -1)).reshape(some.shape)
    return turned


def interpolate(vectors: Vectors, index: NDArray[np.floating]) -> Vectors:
    """Interpolate vectors at voxel indices.

    Parameters
    ----------
    vectors : (C, z, y, x) float32
        C-contiguous; any number of components.
    index : (3, N) float
        Continuous voxel indices x, y, z. They are clipped to the outer voxel centres.

    Returns
    -------
    found : (C, N) float32
    """
    count = index.shape[1]
    found = np.empty((len(vectors), count), np.float32)
    flat = vectors.reshape(len(vectors), -1)
    offsets = _offsets(vectors.shape[1:])
    for start in range(0, count, CHUNK):
        chunk = slice(start, start + CHUNK)
        first, weights = _cells(vectors.shape[1:], index[:, chunk])
        for component, out in zip(flat, found, strict=True):
            # Each corner is read from where it lies after the first one, so that one index serves all.
            out[chunk] = _blend([component[offset:].take(first) for offset in offsets], weights)
    return found


def _offsets(shape: tuple[int, ...]) -> list[int]:
    """Return how far the eight corners of a cell lie from its first one in a flat array, x fastest."""
    # An axis of one voxel has one neighbour, used twice.
    dz, dy, dx = (step if n > 1 else 0 for step, n in zip((shape[1] * shape[2], shape[2], 1), shape, strict=True))
    return [z + y + x for z in (0, dz) for y in (0, dy) for x in (0, dx)]


def _cells(shape: tuple[int, ...], index: NDArray[np.floating]) -> tuple[NDArray[np.intp], Vectors]:
    """Return the flat index of the first corner of the cell of each point, and its place in the cell, (3, N)."""
    weights = np.empty(index.shape, np.float32)
    whole: type[np.signedinteger[Any]] = np.int32 if np.prod(shape, dtype=np.int64) < 2**31 else np.intp
    first = np.zeros(index.shape[1], whole)
    for along, weight, count, stride in zip(
        index, weights, shape[::-1], (1, shape[2], shape[2] * shape[1]), strict=True
    ):
        np.clip(along, 0, count - 1, out=weight, casting="same_kind")
        # The centre of the last voxel belongs to the cell before it.
        low = np.minimum(weight.astype(whole), max(count - 2, 0))
        weight -= low.astype(np.float32)
        low *= stride
        np.add(first, low, out=first)
    return first.astype(np.intp, copy=False), weights


def _blend(corners: list[Vectors], weights: Vectors) -> Vectors:
    """Reduce eight values a point to one, along x, then y, then z; the first is overwritten."""
    for weight in weights:
        for low, high in zip(corners[::2], corners[1::2], strict=True):
            high -= low
            high *= weight
            low += high
        corners = corners[::2]
    return corners[0]
