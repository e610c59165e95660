"""Interpolation by scipy, with the results of ITK: for an installation without SimpleITK.

A voxel is inside the image up to half a voxel beyond its outer centres, and the outer voxel is repeated there, as ITK
has it. B-splines are cubic, and mirrored at the border.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import UsageProblem
from stnreg.geometry.matrix import Matrix

SLAB_VOXELS = 1 << 19
"""Voxels that are looked up at once: their indices take 12 MB."""


def by_matrix(
    array: NDArray[Any], fixed_to_moving_index: Matrix, shape: tuple[int, ...], interp: str, background: float
) -> NDArray[Any]:
    """Resample an image by an affine between voxel indices.

    Parameters
    ----------
    array : (z, y, x)
    fixed_to_moving_index : (4, 4) float64
        Maps (x, y, z, 1).
    shape : (int, int, int)
        Of the result, z first.
    interp : {"linear", "nearest", "bspline"}
    background : float
        Of voxels that lie outside of `array`.

    Returns
    -------
    moved : (z, y, x)
        The type of `array` for "nearest", else float32.

    Raises
    ------
    UsageProblem
        If the interpolation is another one.
    """
    look_up = _LookUp(array, interp, background)
    moved = np.empty(shape, look_up.dtype)
    y, x = np.arange(shape[1])[:, None], np.arange(shape[2])
    for planes in _slabs(shape):
        z = np.arange(planes.start, planes.stop)[:, None, None]
        index = np.stack([a * x + b * y + c * z + d for a, b, c, d in fixed_to_moving_index[:3]])
        moved[planes] = look_up(index)
    return moved


def at_indices(array: NDArray[Any], index: NDArray[np.floating], interp: str, background: float | None) -> NDArray[Any]:
    """Look an image up at voxel indices.

    Parameters
    ----------
    array : (z, y, x)
    index : (3, z, y, x)
        x, y, z.
    interp : {"linear", "nearest", "bspline"}
    background : float or None
        Outside of `array`; None takes the nearest voxel.

    Returns
    -------
    found : (z, y, x)
        As `by_matrix`.
    """
    look_up = _LookUp(array, interp, background)
    found = np.empty(index.shape[1:], look_up.dtype)
    for planes in _slabs(index.shape[1:]):
        found[planes] = look_up(index[:, planes])
    return found


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(SLAB_VOXELS // max(shape[1] * shape[2], 1), 1)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


class _LookUp:
    """An image, prepared for one kind of interpolation."""

    def __init__(self, array: NDArray[Any], interp: str, background: float | None) -> None:
        from scipy.ndimage import spline_filter

        if interp not in ("linear", "nearest", "bspline"):
            raise UsageProblem(
                f"{interp} interpolation needs SimpleITK, which is not installed here: pip install SimpleITK"
            )
        self.values = spline_filter(array, 3, np.float64, mode="mirror") if interp == "bspline" else array
        self.order, self.background = {"linear": 1, "nearest": 0, "bspline": 3}[interp], background
        self.dtype = array.dtype if interp == "nearest" else np.dtype(np.float32)

    def __call__(self, index: NDArray[np.floating]) -> NDArray[Any]:
        """Interpolate at (3, ...) indices x, y, z."""
        from scipy.ndimage import map_coordinates

        size = np.array(self.values.shape[::-1])[:, None, None, None]
        x, y, z = np.clip(np.floor(index + 0.5).astype(np.intp), 0, size - 1)
        if self.order == 0:
            found = self.values[z, y, x]
        else:
            mode = "nearest" if self.order == 1 else "mirror"
            found = map_coordinates(self.values, index[::-1], self.dtype, self.order, mode, prefilter=False)
        outside = ((index < -0.5) | (index >= size - 0.5)).any(axis=0)
        found[outside] = self.values[z, y, x][outside] if self.background is None else self.background
        return found
