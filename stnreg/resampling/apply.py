"""Resample a moving image to a reference grid and write it, for `apply-transform` and `register`."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.images.inputs import Image, as_volume
from stnreg.images.label_maps import blurred
from stnreg.images.volume import HeaderSource, Reference, Volume, save_volume
from stnreg.resampling.resample import Interpolation, resample
from stnreg.transforms.io.links import load_chain

OutputType = Literal["float32", "same"]
Transform = str | os.PathLike[str] | NDArray[np.float64]


def apply_transform(
    moving: Image,
    reference: Image,
    transform: Transform | Sequence[Transform],
    *,
    invert: bool = False,
    interp: Interpolation = "linear",
    background: float = 0.0,
    dtype: OutputType = "float32",
    header_source: HeaderSource = "auto",
    threads: int | None = None,
) -> Volume:
    """Resample a moving image to a reference grid, in one interpolation: `stnreg apply-transform` in Python.

    Parameters
    ----------
    moving, reference : path, Volume, nibabel or SimpleITK image
        The image to resample (may be a series), and the image that defines the grid.
    transform : path, (4, 4) float64, or a sequence of them
        Maps reference LPS points to moving LPS points. In a sequence the first one acts on a point first. See
        `load_chain` for `"inv:FILE"` and other prefixes.
    invert : bool
        Invert the whole chain.
    interp, background, dtype, threads
        As `move`.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use if the two differ.

    Returns
    -------
    moved : Volume
        On the grid of `reference`.

    Raises
    ------
    DataError
        If an image or a transform cannot be used.
    """
    links = [transform] if isinstance(transform, str | os.PathLike | np.ndarray) else list(transform)
    source = as_volume(moving, header_source, series=True, constant=True)
    target = as_volume(reference, header_source, series=True, constant=True)
    chain = load_chain(links, target, source, is_inverted=invert)
    array = move(source, target, chain.matrix, interp=interp, background=background, dtype=dtype, threads=threads)
    warnings = (*source.warnings, *chain.warnings, *blurred(source, interp))
    return Volume(array, target.grid, target.header, source.path, warnings, target.differs)


def move(
    moving: Volume,
    reference: Volume | Reference,
    fixed_to_moving: ArrayLike,
    *,
    interp: Interpolation = "linear",
    background: float = 0.0,
    dtype: OutputType = "float32",
    threads: int | None = None,
) -> NDArray[Any]:
    """Resample a moving image, or each volume of a series, to a reference grid.

    Parameters
    ----------
    moving : Volume
        Its array may be (t, z, y, x).
    reference : Volume or Reference
        Defines the output grid.
    fixed_to_moving : (4, 4) float64
        Maps reference LPS points to moving LPS points, mm.
    interp : {"linear", "nearest", "bspline", "lanczos", "label"}
        "label" keeps the type of the labels and ignores `dtype`.
    background : float
        Value outside the moving image.
    dtype : {"float32", "same"}
        "same" is the moving image's type; values are rounded and clipped to it.
    threads : int, optional
        Of ITK. The result does not depend on it.

    Returns
    -------
    moved : ([t,] z, y, x)
        On the grid of `reference`.
    """
    keeps_type = interp == "label" or dtype == "same"
    kind = moving.array.dtype if keeps_type else np.dtype(np.float32)

    def one(array: NDArray[Any]) -> NDArray[Any]:
        moved = resample(array, moving.grid, reference.grid, fixed_to_moving, interp, background, threads)
        return _cast(moved, kind)

    return one(moving.array) if moving.array.ndim == 3 else np.stack([one(array) for array in moving.array])


def save_moved(
    path: str | os.PathLike[str],
    moving: Volume,
    reference: Volume | Reference,
    fixed_to_moving: ArrayLike,
    *,
    interp: Interpolation = "linear",
    background: float = 0.0,
    dtype: OutputType = "float32",
    threads: int | None = None,
) -> NDArray[Any]:
    """Write the result of `move` with the header of the reference; also return it.

    Raises
    ------
    DataError
        If the file cannot be written.
    UsageProblem
        If its suffix is not .nii or .nii.gz.
    """
    moved = move(moving, reference, fixed_to_moving, interp=interp, background=background, dtype=dtype, threads=threads)
    save_volume(path, moved, like=reference, dtype="same", threads=threads or 1)
    return moved


def _cast(array: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Change the type; round and clip to an integer one instead of wrapping around."""
    if kind.kind in "iu" and array.dtype.kind == "f":
        info = np.iinfo(kind)
        # Largest float within the integer range: float32(2**31 - 1) is 2**31.
        top = np.nextafter(np.float32(info.max), np.float32(0)) if info.bits > 24 else np.float32(info.max)
        cast = np.empty(array.shape, kind)
        for place, part in zip(cast, array, strict=True):  # slice by slice, to fit into the cache
            rounded = np.rint(part)
            place[...] = np.clip(rounded, np.float32(info.min), top, out=rounded)
        return cast
    return array.astype(kind, copy=False)
