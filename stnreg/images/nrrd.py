"""NRRD headers, .nrrd and .nhdr: `field: value` lines up to an empty one."""

import re
from pathlib import Path

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.headers import MM_PER_UNIT, believable_unit, unit_notes
from stnreg.images.missing_orientation import nrrd_note
from stnreg.images.raw_voxels import Encoding, RawHeader, data_file, text_of

TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
ENCODINGS: dict[str, Encoding] = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "text": "text", "txt": "text", "ascii": "text",
}  # fmt: skip
TO_LPS = {
    # Others, as "scanner-xyz", are taken as they are.
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
SPATIAL_KINDS = ("domain", "space", "time", "???", "none")
_END = re.compile(rb"\r?\n\r?\n")


def read_header(path: Path) -> RawHeader:
    """Read a header. Each voxel axis has a direction, in the space that the header names.

    Raises
    ------
    DataError
        If it is damaged, or the kind of image is not supported.
    ValueError, KeyError
        If a number or a line is missing.
    """
    lines, end = text_of(path, _end)
    if not lines or not lines[0].startswith("NRRD000"):
        raise DataError(f"{path}: does not begin as a NRRD file does.")
    fields = {key.strip().lower(): value.strip() for key, colon, value in map(_split, lines[1:]) if colon}
    size = tuple(int(count) for count in fields["sizes"].split())
    if len(size) != int(fields["dimension"]) or len(size) < 3:
        raise DataError(f"{path}: has {len(size)} axes; a 3-D image was expected.")
    dtype = next((dtype for dtype, names in TYPES.items() if fields["type"].lower() in names), None)
    encoding = ENCODINGS.get(fields["encoding"].lower())
    if dtype is None or encoding is None:
        raise DataError(f"{path}: holds {fields['type']} as {fields['encoding']}, which is not read here.")
    grid, said = _grid(fields, size, path), _mm_per_unit(fields)
    field_of_view = float(grid.extent_mm.max())
    mm = believable_unit(said, field_of_view)
    name = fields.get("data file", fields.get("datafile"))
    skipped = int(fields.get("byte skip", fields.get("byteskip", "0")))
    if int(fields.get("line skip", fields.get("lineskip", "0"))) or (skipped < 0 and encoding != "raw"):
        raise DataError(f"{path}: skips lines before its voxels, which is not read here. Convert it to .nii.gz.")
    return RawHeader(
        Grid(grid.size, np.diag([mm, mm, mm, 1.0]) @ grid.index_to_lps),
        size,
        np.dtype((">" if fields.get("endian", "little").lower() == "big" else "<") + dtype),
        path if name is None else data_file(path, name),
        skipped if name is not None or skipped < 0 else end + skipped,
        encoding,
        (*unit_notes(said, field_of_view, str(path)), *nrrd_note(fields, path)),
    )


def _end(head: bytes) -> int:
    found = _END.search(head)
    if found is not None:
        return found.end()
    return len(head) if b"data" in head.lower() else -1  # a detached header needs no empty line


def _split(line: str) -> tuple[str, str, str]:
    return ("", "", "") if line.startswith("#") or ":=" in line else line.partition(":")


def _grid(fields: dict[str, str], size: tuple[int, ...], path: Path) -> Grid:
    x, y, z = size[:3]
    kinds = fields.get("kinds", "").lower().split()
    vectors = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
    if any(kind not in SPATIAL_KINDS for kind in kinds) or "none" in vectors[:3]:
        raise DataError(f"{path}: holds {fields.get('kinds', 'vectors')}; one number per voxel was expected.")
    index_to_lps = np.eye(4)
    if vectors:
        index_to_lps[:3, :3] = np.array([_vector(vector) for vector in vectors[:3]]).T
    else:
        spacings = [abs(float(number)) for number in fields.get("spacings", "1 1 1").split()[:3]]
        index_to_lps[:3, :3] = np.diag(spacings)
    if "space origin" in fields:
        index_to_lps[:3, 3] = _vector(fields["space origin"])
    flips = TO_LPS.get(re.sub("-time$", "", fields.get("space", "").lower()), (1, 1, 1))
    return Grid((x, y, z), np.diag([*flips, 1.0]) @ index_to_lps)


def _mm_per_unit(fields: dict[str, str]) -> float:
    """Return how many millimetres the unit of the axes is: of their space, or else of the first axis."""
    units = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    return MM_PER_UNIT.get(units[0].strip().lower(), 1.0) if units else 1.0


def _vector(text: str) -> list[float]:
    numbers = [float(number) for number in text.strip().strip("()").split(",")]
    if len(numbers) not in (3, 4):  # a fourth is time
        raise ValueError(f"expected three numbers, got {text[:60]}")
    return numbers[:3]
