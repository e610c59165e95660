"""Trilinear interpolation at scattered points, with its exact gradient, in float32."""

import numpy as np

Array = np.ndarray


def interpolate(values: Array, index: Array) -> Array:
    """Interpolate at voxel indices.

    Parameters
    ----------
    values : (z, y, x) ndarray
        C-contiguous, any real type; may have NaN.
    index : (3, N) float32
        Continuous voxel indices x, y, z.

    Returns
    -------
    found : (N,) float32
        NaN beyond the outer voxel centres, and if one of the eight neighbours is NaN.
    """
    corners, (x, y, z), outside = _corners(values, index)
    c00 = corners[0] + x * (corners[1] - corners[0])
    c10 = corners[2] + x * (corners[3] - corners[2])
    c01 = corners[4] + x * (corners[5] - corners[4])
    c11 = corners[6] + x * (corners[7] - corners[6])
    c0 = c00 + y * (c10 - c00)
    c1 = c01 + y * (c11 - c01)
    found = c0 + z * (c1 - c0)
    found[outside] = np.nan
    return found


def interpolate_with_gradient(values: Array, index: Array) -> tuple[Array, Array]:
    """Interpolate as `interpolate` does, and differentiate: (N,) values and (3, N) per voxel along x, y, z."""
    corners, (x, y, z), outside = _corners(values, index)
    d00, d10 = corners[1] - corners[0], corners[3] - corners[2]
    d01, d11 = corners[5] - corners[4], corners[7] - corners[6]
    c00, c10 = corners[0] + x * d00, corners[2] + x * d10
    c01, c11 = corners[4] + x * d01, corners[6] + x * d11
    along_y0, along_y1 = c10 - c00, c11 - c01
    c0, c1 = c00 + y * along_y0, c01 + y * along_y1
    gradient = np.empty((3, len(x)), np.float32)
    d0, d1 = d00 + y * (d10 - d00), d01 + y * (d11 - d01)
    gradient[0] = d0 + z * (d1 - d0)
    gradient[1] = along_y0 + z * (along_y1 - along_y0)
    gradient[2] = c1 - c0
    found = c0 + z * gradient[2]
    found[outside] = np.nan
    return found, gradient


def _corners(values: Array, index: Array) -> tuple[list[Array], Array, Array]:
    """Return the eight neighbours of each point, its fractional position, and whether it is outside."""
    size = np.array(values.shape[::-1])
    low = np.floor(index)
    # The centre of the last voxel belongs to the cell before it.
    np.clip(low, 0, np.maximum(size - 2, 0)[:, None], out=low)
    part = index - low
    outside = ((part < 0) | (part > 1)).any(0)
    x, y, z = low.astype(np.intp)
    row, slab = values.shape[2], values.shape[2] * values.shape[1]
    base = x + row * y + slab * z
    # An axis of one voxel has one neighbour, used twice.
    dx, dy, dz = (step if n > 1 else 0 for step, n in zip((1, row, slab), size, strict=True))
    flat = values.reshape(-1)
    offsets = (0, dx, dy, dx + dy, dz, dx + dz, dy + dz, dx + dy + dz)
    corners = [np.take(flat, base + offset, mode="clip").astype(np.float32, copy=False) for offset in offsets]
    return corners, part, outside
