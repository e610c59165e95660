"""Volumes: an image array with its grid and its header."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import check_output, write_atomic
from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.images.gzip_streams import deflate
from stnreg.images.headers import HeaderSource, write_world
from stnreg.images.readers import read_image
from stnreg.images.suffixes import WRITTEN
from stnreg.images.writers import WRITERS

__all__ = [
    "HOW_TO_CHOOSE",
    "HeaderSource",
    "Reference",
    "Volume",
    "check_image_output",
    "check_volume",
    "load_reference",
    "load_volume",
    "nifti_header",
    "save_volume",
    "with_spacing",
]

OutputType = Literal["float32", "same"]
VECTORS = (1006, 1007)
"""NIfTI intents of displacements and vectors; their fifth axis does not count volumes."""
HOW_TO_CHOOSE = "Choose the volume to register: its number, counted from 0, or mean."


@dataclass(frozen=True, eq=False)
class Reference:
    """The grid and header of an image, without its voxels.

    Attributes
    ----------
    grid : Grid
        By the header rule.
    header : nibabel.Nifti1Header or None
        As read; None for formats without one.
    differs : bool
        Whether both forms of outputs must be written from `grid`.
    path : str
        Its file, for messages.
    warnings : tuple of str
        Warnings about the file.
    """

    grid: Grid
    header: Any
    differs: bool
    path: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Volume:
    """An image with its grid and header.

    Attributes
    ----------
    array : (z, y, x) ndarray
        The stored type, or float32 if the file has a slope. ([t,] z, y, x) if a series is allowed.
    grid : Grid
        By the header rule.
    header : nibabel.Nifti1Header or None
        As read; None for formats without one.
    path : str
        Its file, for messages.
    warnings : tuple of str
        Warnings about the file.
    differs : bool
        Whether both forms of outputs must be written from `grid`.
    """

    array: NDArray[Any]
    grid: Grid
    header: Any = None
    path: str = ""
    warnings: tuple[str, ...] = ()
    differs: bool = False


def load_volume(
    path: str | os.PathLike[str],
    header_source: HeaderSource = "auto",
    *,
    series: bool = False,
    constant: bool = False,
) -> Volume:
    """Read an image: NIfTI (.nii, .nii.gz, .hdr with .img), .mgz and .mgh, .nrrd and .nhdr, .mha and .mhd, DICOM.

    A fourth axis of length one is dropped. NaN and infinities become 0, with a warning.

    Parameters
    ----------
    path : path
        The file, the folder of a DICOM series, or the name of a template.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use if the two differ.
    series : bool
        Allow a fourth axis; the array is then (t, z, y, x).
    constant : bool
        Allow a constant image, as for masks.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not a 3-D scalar image; the message names it and says what to do.
    """
    image = read_image(path, header_source)
    volume = Volume(image.read(), image.grid, image.header, image.path, tuple(image.warnings), image.differs)
    return check_volume(volume, series=series, constant=constant)


def check_volume(volume: Volume, *, series: bool = False, constant: bool = False) -> Volume:
    """Check a volume: three axes, finite values, not constant. Parameters and errors as `load_volume`."""
    warnings = list(volume.warnings)
    if volume.header is not None and int(volume.header["intent_code"]) in VECTORS and volume.array.ndim > 4:
        raise DataError(f"{volume.path}: is {_times(volume.array)}, vectors as of a displacement field, and no image.")
    array, bad = _finite(_three_axes(volume.array, volume.path, series=series))
    if bad:
        warnings.append(f"{volume.path}: {bad} voxels are NaN or infinite; they are taken as 0.")
    if not constant and array.min() == array.max():
        raise DataError(f"{volume.path}: every voxel is {array.flat[0]}; there is nothing to align in it.")
    return replace(volume, array=array, warnings=tuple(warnings))


def load_reference(path: str | os.PathLike[str], header_source: HeaderSource = "auto") -> Reference:
    """Read the grid and header of an image, without its voxels. Of a series, the first three axes."""
    image = read_image(path, header_source)
    return Reference(image.grid, image.header, image.differs, image.path, image.warnings)


def with_spacing(like: Volume | Reference, spacing_mm: float | Sequence[float] | None) -> Volume | Reference:
    """Return a reference with the field of view and the axes of another, and voxels of another size.

    Parameters
    ----------
    like : Volume or Reference
    spacing_mm : float, (x, y, z) or None
        Along the voxel axes of `like`. None leaves it as it is.
    """
    if spacing_mm is None:
        return like
    return Reference(like.grid.with_spacing(spacing_mm), like.header, True, like.path, like.warnings)


def check_image_output(
    path: str | os.PathLike[str], suffixes: tuple[str, ...] = WRITTEN, what: str = "an image"
) -> None:
    """Raise UsageProblem on a suffix that is not among those written, DataError on a path that is not writable."""
    if not str(path).lower().endswith(suffixes):
        example = "" if Path(path).suffix else f", such as {path}.nii.gz"
        raise UsageProblem(f"{path}: {what} is written as {', '.join(suffixes[:-1])} or {suffixes[-1]}{example}.")
    check_output(path)


def save_volume(
    path: str | os.PathLike[str],
    array: NDArray[Any],
    *,
    like: Volume | Reference,
    dtype: OutputType = "float32",
    threads: int = 1,
) -> None:
    """Write an array on the grid of another image; as NIfTI also with that image's forms, codes and units.

    Written atomically; the same array gives the same bytes.

    Parameters
    ----------
    path : path
        Ends in .nii, .nii.gz, .mgz, .nrrd or .mha.
    array : (z, y, x) or (t, z, y, x)
        Voxels on the grid of `like`.
    like : Volume or Reference
        Image with the grid and header to write. If its two forms differ, both are written from the one in use.
    dtype : {"float32", "same"}
        "same" keeps the type of `array`.
    threads : int
        For compression; the bytes do not depend on it.

    Raises
    ------
    DataError
        If the array does not fit the grid, or the file cannot be written.
    UsageProblem
        If the suffix is not supported.
    """
    check_image_output(path)
    if array.shape[-3:] != like.grid.shape or array.ndim not in (3, 4):
        raise DataError(f"{path}: expected an array on the grid {like.grid.shape}, got {array.shape}.")
    stored = np.ascontiguousarray(_storable(array, np.float32 if dtype == "float32" else array.dtype))
    writer = WRITERS.get(Path(path).suffix.lower())
    if writer is not None:
        write_atomic(path, *writer(stored, like.grid, threads))
        return
    header = nifti_header(like, stored)
    parts = (header.binaryblock, b"\0\0\0\0", stored.reshape(-1).view(np.uint8).data)
    write_atomic(path, *(deflate(*parts, threads=threads) if str(path).lower().endswith(".gz") else parts))


def nifti_header(like: Volume | Reference, stored: NDArray[Any]) -> Any:
    """Create the NIfTI-1 header of an array, ([t,] z, y, x), with the geometry of `like`."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape[::-1])
    header.set_xyzt_units("mm", "sec" if stored.ndim == 4 else "unknown")
    header["pixdim"][1:4] = like.grid.spacing
    header.set_slope_inter(1, 0)
    header["vox_offset"] = 352
    source = like.header
    if source is None:
        write_world(header, like.grid, both=True)
        return header
    for field in (
        *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
        *("srow_x", "srow_y", "srow_z", "xyzt_units"),
    ):
        header[field] = source[field]
    if int(header["xyzt_units"]) & 7 == 0:  # unknown, which is read as millimetres
        header["xyzt_units"] |= 2
    header["pixdim"][:4] = source["pixdim"][:4]
    write_world(header, like.grid, both=like.differs)
    return header


def _storable(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Cast to a type that NIfTI readers support, little-endian."""
    kind = np.dtype(dtype)
    if kind == np.bool_:
        kind = np.dtype(np.uint8)
    if kind == np.float16:
        kind = np.dtype(np.float32)
    if kind in (np.int64, np.uint64):  # few tools read 64-bit integers; labels fit into 32 bits
        info = np.iinfo(np.int32)
        if array.size and (array.min() < info.min or array.max() > info.max):
            return array.astype("<f8")
        kind = np.dtype(np.int32)
    return array.astype(kind.newbyteorder("<"), copy=False)


def _three_axes(array: NDArray[Any], path: str, *, series: bool) -> NDArray[Any]:
    """Drop axes of length one after the third (first in array order); DataError if the result is not a volume."""
    array = array.reshape(*(count for count in array.shape[:-3] if count != 1), *array.shape[-3:])
    if array.ndim < 3 or min(array.shape[-3:]) < 2:
        raise DataError(f"{path}: is {_times(array)}, not a volume; two slices along each axis are the least.")
    if array.ndim > (4 if series else 3):
        raise DataError(
            f"{path}: is {_times(array)}, a series; a 3-D image was expected. {HOW_TO_CHOOSE}", argument="volume"
        )
    return array


def _times(array: NDArray[Any]) -> str:
    return " x ".join(str(count) for count in array.shape[::-1])


def _finite(array: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Replace NaN and infinities by 0; also count them."""
    # A sum is several times faster than a mask, and finite for nearly every image.
    if array.dtype.kind != "f" or np.isfinite(np.sum(array, dtype=np.float64)):
        return array, 0
    bad = ~np.isfinite(array)
    return np.where(bad, array.dtype.type(0), array), int(bad.sum())
