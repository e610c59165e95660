"""Images with text headers (NRRD, MetaImage): the content of the header, and its raw voxels.

They are not read by ITK, whose readers corrupt memory on damaged headers.
"""

import bz2
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.gzip_streams import GZIP, ZLIB, inflate_bytes

Encoding = Literal["raw", "gzip", "zlib", "bzip2", "text"]
MAX_HEADER_BYTES = 2**20
_WINDOW = {"gzip": GZIP, "zlib": ZLIB}


@dataclass(frozen=True)
class RawHeader:
    """The content of a header.

    Attributes
    ----------
    grid : Grid
        Grid of the first three axes, LPS mm.
    size : tuple of int
        Voxels along every axis, fastest first.
    dtype : numpy.dtype
        Stored type.
    data : Path
        The file of the voxels: the header's or another.
    offset : int
        Their offset in it, bytes; -1 if they are at its end.
    encoding : {"raw", "gzip", "zlib", "bzip2", "text"}
    warnings : tuple of str
        Warnings about the header.
    """

    grid: Grid
    size: tuple[int, ...]
    dtype: np.dtype[Any]
    data: Path
    offset: int
    encoding: Encoding
    warnings: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Size of the uncompressed voxels, bytes."""
        return prod(self.size) * self.dtype.itemsize


def read_voxels(header: RawHeader, path: Path) -> NDArray[Any]:
    """Return the voxels, ([...,] z, y, x), native byte order.

    Raises
    ------
    DataError
        If the file has fewer, or is damaged.
    """
    with open(header.data, "rb") as stream:
        if header.offset < 0:
            stream.seek(max(header.data.stat().st_size - header.nbytes, 0))
        else:
            stream.seek(header.offset)
        content = stream.read(header.nbytes) if header.encoding == "raw" else stream.read()
    if header.encoding in _WINDOW:
        content = inflate_bytes(content, header.nbytes, path, _WINDOW[header.encoding])
    elif header.encoding == "bzip2":
        content = bz2.BZ2Decompressor().decompress(content, header.nbytes)
    if header.encoding == "text":
        array = np.array(content.split(maxsplit=prod(header.size))[: prod(header.size)], dtype=np.float64)
        array = array.astype(header.dtype.newbyteorder("="))
    else:
        whole = len(content) // header.dtype.itemsize
        array = np.frombuffer(content, header.dtype, min(whole, prod(header.size)))
    if array.size < prod(header.size):
        raise DataError(f"{path}: is cut short: {prod(header.size)} voxels were expected. Copy it again.")
    return array.reshape(header.size[::-1]).astype(header.dtype.newbyteorder("="), copy=False)


def text_of(path: Path, ends: Callable[[bytes], int]) -> tuple[list[str], int]:
    """Return the lines of a header, and the offset of the voxels, bytes.

    Parameters
    ----------
    path : Path
    ends : callable
        Returns the end of the header in the first bytes of the file; -1 if not found.

    Raises
    ------
    DataError
        If no end is found.
    """
    with open(path, "rb") as stream:
        head = stream.read(MAX_HEADER_BYTES)
    end = ends(head)
    if end < 0:
        raise DataError(f"{path}: its header has no end. It is cut short or damaged; copy it again.")
    return head[:end].decode("latin-1").splitlines(), end


def data_file(path: Path, name: str) -> Path:
    """Return the file of the voxels that a header names, in the same folder.

    Raises
    ------
    DataError
        If it names several files, or the file is missing.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise DataError(f"{path}: has its voxels in several files, which is not read here. Convert it to .nii.gz.")
    found = path.parent / name
    if "\0" in name or not found.is_file():
        raise DataError(f"{path}: has its voxels in {name[:200]}, and there is no such file beside it.")
    return found
