"""Open image files: the header is read at once, the voxels on request."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import check_input
from stnreg.errors import DataError, StnregError
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images import dicom, metaimage, missing_orientation, nrrd, suffixes
from stnreg.images.gzip_streams import inflate
from stnreg.images.headers import HeaderSource, world_of_nifti
from stnreg.images.nibabel_images import mm_per_unit, open_with_nibabel, scaled
from stnreg.images.packing import check_packing
from stnreg.images.raw_voxels import read_voxels
from stnreg.images.templates import locate

MAX_VOXELS = 2**31
MAX_INFLATION = 1040
"""Just above the largest compression ratio of deflate, 1032."""


@dataclass(frozen=True)
class OpenImage:
    """A file whose header has been read.

    Attributes
    ----------
    grid : Grid
        By the header rule.
    header : nibabel.Nifti1Header or None
        None if the format is not NIfTI.
    differs : bool
        Whether the header's two forms disagree.
    path : str
        For messages.
    warnings : tuple of str
        Warnings about the file.
    read : callable
        Returns the voxels, ([...,] z, y, x); raises DataError if the file is damaged.
    """

    grid: Grid
    header: Any
    differs: bool
    path: str
    warnings: tuple[str, ...]
    read: Callable[[], NDArray[Any]]


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Return whether a file name has the suffix of an image format that can be read."""
    return Path(path).name.lower().endswith(suffixes.NIBABEL + suffixes.RAW)


def read_image(path: str | os.PathLike[str], header_source: HeaderSource = "auto") -> OpenImage:
    """Open an image by its suffix, a DICOM series by its folder or a template by its name, and read the header.

    Raises
    ------
    DataError
        If the file is missing, damaged, smaller than its header requires, or of an unknown format.
    """
    located = locate(path)
    image = _open(check_input(located.path, folder=True), header_source)
    return replace(image, warnings=(*located.warnings, *image.warnings)) if located.warnings else image


def _open(found: Path, header_source: HeaderSource) -> OpenImage:
    if found.is_dir():
        return _read_dicom(found)
    if not found.is_file():
        raise DataError(f"{found}: is a pipe or a device; an image is read from a file.")
    name = found.name.lower()
    if name.endswith(suffixes.NIBABEL):
        return _read_with_nibabel(found, header_source)
    if name.endswith(suffixes.RAW):
        return _read_raw(found)
    known = " ".join(suffixes.NIBABEL + suffixes.RAW)
    raise DataError(f"{found}: not an image format that is read here ({known}). DICOM: give the folder of the series.")


def _read_with_nibabel(path: Path, header_source: HeaderSource) -> OpenImage:
    import nibabel

    check_packing(path)
    with damage(path):
        image: Any = open_with_nibabel(path)
        shape = tuple(int(count) for count in image.shape)
        data_type = image.get_data_dtype()
    if data_type.fields is not None or data_type.kind not in "iufb":
        raise DataError(f"{path}: holds {data_type}, not one number per voxel (colour or complex). Convert it first.")
    if len(shape) < 3:
        raise DataError(f"{path}: has {len(shape)} axes; a 3-D image was expected.")
    data = Path(image.file_map["image"].filename or path)
    if image.dataobj.offset < 348 and getattr(image.header, "is_single", False):
        raise DataError(f"{path}: the header puts the voxels into itself. Repair it: vox_offset is usually 352.")
    _check_file_size(path, shape, data_type.itemsize, data, data.name.lower().endswith(suffixes.PACKED))
    size = shape[0], shape[1], shape[2]
    if isinstance(image.header, nibabel.Nifti1Header):  # Nifti2Header is one too
        world = world_of_nifti(image.header, size, str(path), header_source)
        grid, header, differs, warnings = world.grid, image.header, world.differs, world.warnings
    else:
        mm, notes = mm_per_unit(image, path)
        index_to_ras = np.diag([mm, mm, mm, 1.0]) @ image.affine
        grid, header, differs, warnings = (
            _grid(path, size, index_to_ras),
            None,
            True,
            (*notes, *_orientation_notes(image, path)),
        )

    def read() -> NDArray[Any]:
        with damage(path):
            return _voxels(image.dataobj, path)

    return OpenImage(grid, header, differs, str(path), warnings, read)


def _orientation_notes(image: Any, path: Path) -> tuple[str, ...]:
    import nibabel

    if isinstance(image, nibabel.AnalyzeImage):
        return (missing_orientation.analyze_note(image, path),)
    with damage(path):
        is_packed = path.name.lower().endswith(suffixes.PACKED)
        with gzip.open(path) if is_packed else open(path, "rb") as stream:
            return missing_orientation.freesurfer_note(path, stream.read(30))


def _voxels(proxy: Any, path: Path) -> NDArray[Any]:
    """Return the voxels of a nibabel array proxy, ([...,] z, y, x), native byte order.

    Compressed files are decompressed by ISA-L, twice as fast as by nibabel.
    """
    if path.name.lower().endswith(suffixes.PACKED):
        size = prod(proxy.shape) * proxy.dtype.itemsize
        stored = np.frombuffer(inflate(path, proxy.offset + size), np.uint8, offset=proxy.offset)
        array = stored.view(proxy.dtype).reshape(proxy.shape[::-1])
    else:
        array = np.asarray(proxy.get_unscaled()).T
    slope, inter = getattr(proxy, "slope", 1.0), getattr(proxy, "inter", 0.0)
    if (slope, inter) == (1.0, 0.0):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    return scaled(array, np.float64(slope), np.float64(inter))


def _read_dicom(folder: Path) -> OpenImage:
    with damage(folder):
        slices = dicom.find_slices(folder)

    def read() -> NDArray[Any]:
        with damage(folder):
            return dicom.read_slices(slices, folder)

    return OpenImage(slices.grid, None, True, str(folder), (), read)


def _read_raw(path: Path) -> OpenImage:
    read_header = metaimage.read_header if path.name.lower().endswith((".mha", ".mhd")) else nrrd.read_header
    with damage(path):
        header = read_header(path)
    _check_file_size(path, header.size, header.dtype.itemsize, header.data, header.encoding != "raw")

    def read() -> NDArray[Any]:
        with damage(path):
            return read_voxels(header, path)

    return OpenImage(header.grid, None, True, str(path), header.warnings, read)


def _grid(path: Path, size: tuple[int, int, int], index_to_ras: NDArray[np.float64]) -> Grid:
    try:
        return Grid(size, lps_from_ras(index_to_ras))
    except DataError as error:
        raise DataError(f"{path}: its header does not describe a grid: {error}") from error


def _check_file_size(path: Path, shape: tuple[int, ...], bytes_per_voxel: int, data: Path, is_packed: bool) -> None:
    """Raise DataError if the file is too small for the voxels of its header, before memory is allocated."""
    if min(shape) < 1:
        raise DataError(f"{path}: the header says {shape}; each axis needs a voxel at least.")
    room = data.stat().st_size * (MAX_INFLATION if is_packed else 1)
    if prod(shape) > MAX_VOXELS or prod(shape) * bytes_per_voxel > room:
        raise DataError(
            f"{path}: the header promises {' x '.join(map(str, shape))} voxels, more than the file can hold. "
            "It is cut short or damaged; copy it again."
        )


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Convert exceptions of readers on damaged files to a DataError that names the file."""
    try:
        yield
    except StnregError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: does not fit into memory.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is cut short or damaged ({error}). Copy it again.") from error
    except Exception as error:  # nibabel and ITK raise exceptions of many classes on damaged headers
        raise DataError(f"{path}: cannot be read as an image ({_first_line(error)}).") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
