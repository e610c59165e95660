"""Resample a moving image to a reference grid and write it, for `apply-transform` and `register`."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import DataError
from stnreg.images.inputs import Image, as_volume
from stnreg.images.label_maps import blurred
from stnreg.images.volume import HeaderSource, Reference, Volume, save_volume, with_spacing
from stnreg.resampling.resample import Interpolation
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.io.links import End, LinkLike, load_chain

OutputType = Literal["float32", "same"]
TransformLike = Transform | ArrayLike | LinkLike | Sequence[LinkLike]
"""An object, a (4, 4) in LPS mm, a file as it stands after `-t`, or a sequence of these; fixed to moving."""


def apply_transform(
    moving: Image,
    reference: Image,
    transform: TransformLike,
    *,
    invert: bool = False,
    interp: Interpolation = "linear",
    background: float = 0.0,
    dtype: OutputType = "float32",
    header_source: HeaderSource = "auto",
    spacing_mm: float | Sequence[float] | None = None,
    threads: int | None = None,
) -> Volume:
    """Resample a moving image to a reference grid, in one interpolation: `stnreg apply-transform` in Python.

    Parameters
    ----------
    moving, reference : path, Volume, nibabel or SimpleITK image
        The image to resample (may be a series), and the image that defines the grid.
    transform : Transform, (4, 4) float64, path, or a sequence of them
        Maps reference LPS points to moving LPS points. In a sequence the first one acts on a point first. Files are
        linear transforms, displacement fields or composites; see `load_chain` for `"inv:FILE"` and other prefixes.
    invert : bool
        Invert the whole chain.
    interp, background, dtype, threads
        As `move`.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use if the two differ.
    spacing_mm : float or (x, y, z), optional
        Voxel size of the result, over the field of view of `reference`.

    Returns
    -------
    moved : Volume
        On the grid of `reference`.

    Raises
    ------
    DataError
        If an image or a transform cannot be used.
    """
    source = as_volume(moving, header_source, series=True, constant=True)
    target = as_volume(reference, header_source, series=True, constant=True)
    chain = load_chain(_links(transform), target, source, is_inverted=invert)
    onto = with_spacing(target, spacing_mm)
    array = move(source, onto, chain, interp=interp, background=background, dtype=dtype, threads=threads)
    warnings = (*source.warnings, *chain.warnings, *blurred(source, interp))
    return Volume(array, onto.grid, onto.header, source.path, warnings, onto.differs)


def move(
    moving: Volume,
    reference: Volume | Reference,
    fixed_to_moving: TransformLike,
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
    fixed_to_moving : Transform, (4, 4) float64, path, or a sequence of them
        Maps reference LPS points to moving LPS points, mm; see `apply_transform`.
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
    through = as_transform(fixed_to_moving, reference, moving)
    keeps_type = interp == "label" or dtype == "same"
    kind = moving.array.dtype if keeps_type else np.dtype(np.float32)
    moved = resample_through(moving.array, moving.grid, reference.grid, through, interp, background, threads)
    return _cast(moved, kind) if moved.ndim == 3 else np.stack([_cast(volume, kind) for volume in moved])


def as_transform(transform: TransformLike, reference: End = None, moving: End = None) -> Transform:
    """Take a transform in whatever form it comes: an object, a matrix, a file or a sequence of them.

    Parameters
    ----------
    transform : Transform, (4, 4) float64, path, or a sequence of them
        Reference LPS points to moving LPS points, mm.
    reference, moving : Reference or Volume, optional
        The images at its ends, which files of FSL need.
    """
    if isinstance(transform, Transform):
        return transform
    links = _links(transform)
    return load_chain(links, reference, moving) if links else Affine(np.eye(4))


def _links(transform: TransformLike) -> list[LinkLike]:
    """Make a list of links of whatever a caller gives; nested numbers are one matrix."""
    if isinstance(transform, str | os.PathLike | np.ndarray | Transform):
        return [transform]
    links = list(transform)  # type: ignore[arg-type]
    if links and not isinstance(links[0], str | os.PathLike | np.ndarray | Transform):
        return [np.asarray(transform, np.float64)]
    return links


def save_moved(
    path: str | os.PathLike[str],
    moving: Volume,
    reference: Volume | Reference,
    fixed_to_moving: TransformLike,
    *,
    interp: Interpolation = "linear",
    background: float = 0.0,
    dtype: OutputType = "float32",
    threads: int | None = None,
    spacing_mm: float | Sequence[float] | None = None,
) -> NDArray[Any]:
    """Write the result of `move` with the header of the reference; also return it.

    Parameters are those of `move`, and the `spacing_mm` of `apply_transform`.

    Raises
    ------
    DataError
        If the file cannot be written, or would be empty: the two images do not meet.
    UsageProblem
        If its suffix is not one of .nii, .nii.gz, .mgz, .nrrd, .mha.
    """
    onto = with_spacing(reference, spacing_mm)
    through = as_transform(fixed_to_moving, onto, moving)
    moved = move(moving, onto, through, interp=interp, background=background, dtype=dtype, threads=threads)
    few = moved[..., ::8, ::8, ::8]  # of most images these differ already, and the rest is not searched
    if few.min() == few.max() and moved.min() == moved.max() and not _meets(moving, onto, through):
        raise DataError(
            f"{moving.path}: no voxel of {path} lies inside this image, so the output would be empty. Is it in the "
            "space that the transform leads to?"
        )
    save_volume(path, moved, like=onto, dtype="same", threads=threads or 1)
    return moved


def _meets(moving: Volume, reference: Volume | Reference, through: Transform) -> bool:
    """Return whether any voxel of the reference lies inside the field of view of the moving image."""
    inside = np.ones(moving.grid.shape, np.uint8)
    return bool(resample_through(inside, moving.grid, reference.grid, through, interp="nearest").any())


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
