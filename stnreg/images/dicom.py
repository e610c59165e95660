"""A DICOM series in a folder as one volume, read by ITK; what is not one volume is refused.

Conversion is a large subject, with a dialect for each vendor. What is read here is the plain case: single-frame slices
of one series, parallel, evenly spaced, of one size. All else is for dcm2niix.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnreg.core.itk import itk_for
from stnreg.errors import DataError
from stnreg.geometry.grid import Grid

ADVICE = "Convert it with dcm2niix, and give the .nii.gz that you want."
POSITION, ORIENTATION, IMAGE_TYPE = "0020|0032", "0020|0037", "0008|0008"
PIXELS = b"\xe0\x7f\x10\x00"
"""The tag of the pixels as it is stored."""
UNDEFINED = 0xFFFFFFFF
"""The length of packed pixels."""
TOLERANCE_MM = 0.05
"""Of the place of each slice; headers are rounded to a hundredth of a mm."""


class Slices(NamedTuple):
    """The files of a series in the order of space, and the grid of their voxels."""

    files: tuple[str, ...]
    grid: Grid


def is_dicom(folder: Path) -> bool:
    """Return whether a folder looks like one of a DICOM series, by the first bytes of a few of its files."""
    return any(_has_mark(path) for path in sorted(folder.iterdir())[:5])


def _has_mark(path: Path) -> bool:
    if not path.is_file() or path.name == "DICOMDIR":  # a table of contents
        return False
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def find_slices(folder: Path) -> Slices:
    """Return the slices of the one series in a folder.

    Raises
    ------
    DataError
        If there is no DICOM file, or several series, or a series that is not one volume; the message names dcm2niix.
    """
    sitk = itk_for("a DICOM series")

    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise DataError(f"{folder}: is a folder without a DICOM series; an image file was expected.")
    if len(series) > 1:
        raise DataError(f"{folder}: holds {len(series)} DICOM series. {ADVICE} Or put one series into a folder.")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    if len(files) < 2:
        raise DataError(f"{folder}: the DICOM series has one file, a slice or several frames. {ADVICE}")
    left_out = {path for path in folder.iterdir() if _has_mark(path)} - {Path(name) for name in files}
    if left_out:  # silently, by ITK
        raise DataError(f"{min(left_out)}: is damaged: it belongs to no series. Copy it again.")
    heads = [_head(name, folder) for name in files]
    return _in_space(files, heads, folder)


def read_slices(slices: Slices, folder: Path) -> NDArray[Any]:
    """Return the voxels (z, y, x) of a series, in the scanner's units (slope and intercept are applied).

    Raises
    ------
    DataError
        If a slice is damaged, or has several numbers per voxel.
    """
    sitk = itk_for("a DICOM series")

    planes = []
    for name in slices.files:
        if _is_cut_short(Path(name).read_bytes()):
            raise DataError(f"{name}: is cut short. Copy it again.")
        try:
            plane = sitk.GetArrayFromImage(sitk.ReadImage(name))
        except RuntimeError as error:
            raise DataError(f"{name}: is damaged, or packed in a way that is not read here. {ADVICE}") from error
        if plane.shape[-2:] != slices.grid.shape[1:] or plane.size != np.prod(plane.shape[-2:]):
            raise DataError(f"{folder}: has slices of several sizes, or of colour. {ADVICE}")
        planes.append(plane.reshape(plane.shape[-2:]))
    return np.stack(planes)


class _Head(NamedTuple):
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]


def _head(name: str, folder: Path) -> _Head:
    sitk = itk_for("a DICOM series")

    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    try:
        reader.ReadImageInformation()
        size, spacing = reader.GetSize(), reader.GetSpacing()
        position, orientation = (
            np.array([float(v) for v in reader.GetMetaData(tag).split("\\")]) for tag in (POSITION, ORIENTATION)
        )
        kind = reader.GetMetaData(IMAGE_TYPE) if reader.HasMetaDataKey(IMAGE_TYPE) else ""
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{name}: says nothing of its place in space. {ADVICE}") from error
    if len(size) > 2 and size[2] > 1:
        raise DataError(f"{folder}: has several frames in one file (enhanced DICOM). {ADVICE}")
    if "MOSAIC" in kind.upper():
        raise DataError(f"{folder}: has its slices in a mosaic. {ADVICE}")
    if reader.GetNumberOfComponents() != 1 or position.shape != (3,) or orientation.shape != (6,):
        raise DataError(f"{folder}: has slices of colour, or without a place in space. {ADVICE}")
    return _Head((size[0], size[1]), (spacing[0], spacing[1]), position, orientation)


def _is_cut_short(content: bytes) -> bool:
    """Return whether a file ends before its pixels do, which ITK does not tell; packed pixels are left to it."""
    for values in (b"OW\0\0", b"OB\0\0", b""):  # explicit, and implicit value representation
        place = content.find(PIXELS + values)
        if place >= 0:
            begin = place + len(PIXELS) + len(values) + 4
            length = int.from_bytes(content[begin - 4 : begin], "little")
            return length != UNDEFINED and begin + length > len(content)
    return True


def _in_space(files: tuple[str, ...], heads: list[_Head], folder: Path) -> Slices:
    """Sort slices along their normal, and check that they are one volume on a regular grid."""
    first = heads[0]
    for head in heads:
        is_alike = head.size == first.size and np.allclose(head.spacing, first.spacing, atol=1e-4)
        if not (is_alike and np.allclose(head.orientation, first.orientation, atol=1e-3)):
            raise DataError(f"{folder}: has slices of several sizes or orientations. {ADVICE}")
    across, down = first.orientation[:3], first.orientation[3:]
    normal = np.cross(across, down)
    order = np.argsort([head.position @ normal for head in heads], kind="stable")
    places = np.array([heads[k].position for k in order])
    steps = np.diff(places, axis=0)
    if np.linalg.norm(steps, axis=1).min() < TOLERANCE_MM:
        raise DataError(f"{folder}: has several slices in one place: several volumes, echoes or times. {ADVICE}")
    step = (places[-1] - places[0]) / (len(places) - 1)
    off = places - (places[0] + np.arange(len(places))[:, None] * step)
    if np.linalg.norm(off, axis=1).max() > TOLERANCE_MM:
        raise DataError(f"{folder}: a slice is missing, or the slices are not evenly spaced. {ADVICE}")
    if np.linalg.norm(step - (step @ normal) * normal) > 1e-3 * np.linalg.norm(step):
        raise DataError(f"{folder}: its slices are not stacked along their normal (a tilted gantry). {ADVICE}")
    index_to_lps = np.eye(4)
    index_to_lps[:3, :3] = np.column_stack([across * first.spacing[0], down * first.spacing[1], step])
    index_to_lps[:3, 3] = places[0]
    grid = Grid((first.size[0], first.size[1], len(files)), index_to_lps)
    return Slices(tuple(files[k] for k in order), grid)
