"""MetaImage headers, .mha and .mhd: `Key = value` lines. The last one names the file of the voxels."""

import re
from pathlib import Path

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.missing_orientation import metaimage_note
from stnreg.images.raw_voxels import Encoding, RawHeader, data_file, text_of

TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_END = re.compile(rb"^ElementDataFile\s*=[^\n]*\n", re.MULTILINE)


def read_header(path: Path) -> RawHeader:
    """Read a header. Each row of its matrix is the LPS direction of one voxel axis.

    Raises
    ------
    DataError
        If it is damaged, or the kind of image is not supported.
    ValueError, KeyError
        If a number or a line is missing.
    """
    lines, end = text_of(path, lambda head: found.end() if (found := _END.search(head)) else -1)
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    size = tuple(int(count) for count in fields["DimSize"].split())
    axes = int(fields["NDims"])
    if len(size) != axes or axes < 3:
        raise DataError(f"{path}: has {len(size)} axes; a 3-D image was expected.")
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    if channels != 1 or fields["ElementType"] not in TYPES:
        kind = f"{channels} numbers per voxel" if channels != 1 else fields["ElementType"]
        raise DataError(f"{path}: holds {kind}; one number per voxel was expected.")
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), np.ones(axes))
    origin = _numbers(fields, ("Offset", "Position", "Origin"), np.zeros(axes))
    matrix = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), np.eye(axes).ravel())
    direction = matrix.reshape(axes, axes).T[:3, :3]
    order = ">" if _is_true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    name = fields["ElementDataFile"]
    is_local = name.upper() == "LOCAL"
    offset = end if is_local else int(fields.get("HeaderSize", "0"))
    encoding: Encoding = "raw" if _is_true(fields, "BinaryData") or "BinaryData" not in fields else "text"
    return RawHeader(
        Grid.from_parts(size[:3], spacing[:3], origin[:3], direction),
        size,
        np.dtype(order + TYPES[fields["ElementType"]]),
        path if is_local else data_file(path, name),
        offset,
        "zlib" if _is_true(fields, "CompressedData") else encoding,
        metaimage_note(fields, path),
    )


def _is_true(fields: dict[str, str], *keys: str) -> bool:
    return any(fields.get(key, "").lower() in ("true", "1") for key in keys)


def _numbers(fields: dict[str, str], keys: tuple[str, ...], default: np.ndarray) -> np.ndarray:
    found = next((fields[key] for key in keys if key in fields), None)
    if found is None:
        return default
    values = np.array([float(number) for number in found.split()])
    if len(values) != len(default):
        raise ValueError(f"expected {len(default)} numbers for {keys[0]}, got {len(values)}")
    return values
