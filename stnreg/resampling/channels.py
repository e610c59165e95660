"""Trilinear interpolation of multi-channel maps, with gradients."""

from collections.abc import Iterator

import numpy as np

Array = np.ndarray


def sample_maps(maps: Array, index: Array) -> Array:
    """Interpolate maps at voxel indices.

    Parameters
    ----------
    maps : (K, D, H, W) float32
        Fastest if the values of a voxel lie together in memory.
    index : (N, 3) float64
        (x, y, z) voxel indices. Outside the maps the background is 1.

    Returns
    -------
    (K, N) float32
    """
    out = np.zeros((len(index), len(maps)), np.float32)
    for values, shares, _ in _corners(maps, index):
        values *= shares.prod(1, keepdims=True)
        out += values
    outside = ~_inside(maps, index)
    out[outside] = 0
    out[outside, 0] = 1
    return out.T


def sample_maps_with_gradient(maps: Array, index: Array) -> tuple[Array, Array, Array]:
    """Interpolate maps and their gradients at voxel indices.

    Parameters
    ----------
    maps : (K, D, H, W) float32
    index : (N, 3) float64
        (x, y, z) voxel indices.

    Returns
    -------
    values : (N, K) float32
    gradient : (3, N, K) float32
        Per voxel along x, y, z.
    inside : (N,) bool
        Whether the point is inside the maps. Values and gradients outside are undefined.
    """
    values = np.zeros((len(index), len(maps)), np.float32)
    gradient = np.zeros((3, *values.shape), np.float32)
    for corner, shares, signs in _corners(maps, index):
        values += corner * shares.prod(1, keepdims=True)
        for axis in range(3):
            others = np.delete(shares, axis, axis=1).prod(1, keepdims=True)
            gradient[axis] += corner * (signs[axis] * others)
    return values, gradient, _inside(maps, index)


def _inside(maps: Array, index: Array) -> Array:
    return np.all((index >= 0) & (index <= np.array(maps.shape[:0:-1]) - 1), axis=1)


def _corners(maps: Array, index: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Yield for each of the eight neighbours: values (N, K), weights along x, y, z (N, 3), and their signs (3,)."""
    count, _, height, width = maps.shape
    sizes = np.array(maps.shape[:0:-1])
    clipped = np.clip(index, 0, sizes - 1)
    low = np.minimum(np.floor(clipped).astype(int), sizes - 2)
    part = (clipped - low).astype(np.float32)
    # Channels last: one gather serves all maps. Maps that lie so in memory are not copied.
    rows = np.ascontiguousarray(maps.reshape(count, -1).T)
    for corner in range(8):
        step = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        x, y, z = (low + step).T
        yield (
            rows[(z * height + y) * width + x],
            np.where(step, part, 1 - part),
            np.where(step, 1, -1).astype(np.float32),
        )
