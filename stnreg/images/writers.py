"""The bytes of image files that are not NIfTI: FreeSurfer (.mgz), NRRD and MetaImage.

They are made here, not by ITK: compressed by ISA-L, in a tenth of the time, written atomically like all outputs, and
the same for the same image.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images import metaimage, nrrd
from stnreg.images.gzip_streams import deflate

Parts = list[bytes | memoryview]
MGH_TYPES = ("uint8", "int16", "int32", "float32")


def mgz(stored: NDArray[Any], grid: Grid, threads: int = 1) -> Parts:
    """Return a FreeSurfer file: big-endian, and of the four types that all of its readers know.

    Parameters
    ----------
    stored : ([t,] z, y, x)
        Wider types become float32.
    grid : Grid
        LPS mm.
    threads : int
        For compression; the bytes do not depend on it.
    """
    import nibabel

    kind = next((np.dtype(name) for name in MGH_TYPES if np.can_cast(stored.dtype, name)), np.dtype(np.float32))
    voxels = np.ascontiguousarray(stored, kind.newbyteorder(">"))
    empty: NDArray[Any] = np.broadcast_to(np.zeros((), kind), stored.shape[::-1])
    header = nibabel.MGHImage(empty, lps_from_ras(grid.index_to_lps)).header
    head, tail = BytesIO(), BytesIO()
    header.writehdr_to(head)
    header.writeftr_to(tail)
    before = head.getvalue().ljust(header.get_data_offset(), b"\0")
    after = tail.getvalue()[header.get_footer_offset() :]  # nibabel has sought the footer's place
    return [*deflate(before, voxels.reshape(-1).view(np.uint8).data, after, threads=threads)]


def nrrd_file(stored: NDArray[Any], grid: Grid, threads: int = 1) -> Parts:
    """Return a NRRD file with its voxels packed by gzip. Parameters as `mgz`."""
    time = stored.ndim == 4
    vectors = [[*axis, *([0.0] * time)] for axis in grid.index_to_lps[:3, :3].T] + [[0.0, 0.0, 0.0, 1.0]] * time
    lines = (
        "NRRD0004",
        f"type: {nrrd.TYPES[_code(stored)][0]}",
        f"dimension: {stored.ndim}",
        f"space: left-posterior-superior{'-time' * time}",
        f"sizes: {_words(stored.shape[::-1])}",
        f"space directions: {' '.join(map(_vector, vectors))}",
        f"kinds: domain domain domain{' domain' * time}",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector([*grid.origin, *([0.0] * time)])}",
    )
    return ["\n".join((*lines, "", "")).encode(), *deflate(stored.reshape(-1).view(np.uint8).data, threads=threads)]


def metaimage_file(stored: NDArray[Any], grid: Grid, threads: int = 1) -> Parts:
    """Return a MetaImage file, its voxels as they are. Parameters as `mgz`."""
    axes = stored.ndim
    direction, spacing, origin = np.eye(axes), np.ones(axes), np.zeros(axes)
    direction[:3, :3], spacing[:3], origin[:3] = grid.direction.T, grid.spacing, grid.origin
    lines = (
        "ObjectType = Image",
        f"NDims = {axes}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        f"TransformMatrix = {_words(direction.ravel())}",
        f"Offset = {_words(origin)}",
        f"CenterOfRotation = {_words(np.zeros(axes))}",
        f"ElementSpacing = {_words(spacing)}",
        f"DimSize = {_words(stored.shape[::-1])}",
        f"ElementType = {next(name for name, code in metaimage.TYPES.items() if code == _code(stored))}",
        "ElementDataFile = LOCAL",
    )
    return ["\n".join((*lines, "")).encode(), stored.reshape(-1).view(np.uint8).data]


WRITERS = {".mgz": mgz, ".nrrd": nrrd_file, ".mha": metaimage_file}


def _code(stored: NDArray[Any]) -> str:
    if stored.dtype.byteorder == ">" or stored.dtype.str[1:] not in nrrd.TYPES:
        raise DataError(f"voxels of the type {stored.dtype} cannot be written")
    return stored.dtype.str[1:]


def _words(numbers: Any) -> str:
    return " ".join(_text(number) for number in numbers)


def _vector(numbers: Any) -> str:
    return f"({','.join(_text(number) for number in numbers)})"


def _text(number: Any) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))
