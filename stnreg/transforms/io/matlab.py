"""ITK's .mat: two named column vectors in MATLAB's level 4 format."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stnreg.errors import TransformError

_HEADER_BYTES = 20
_FIXED_NAME = b"fixed\0"
_CENTER = struct.pack("<3d", -0.0, -0.0, -0.0)
"""A centre of negative zeros marks files of stnreg: .mat has no comments, and readers take it as zero."""


def is_matlab4(content: bytes) -> bool:
    """Return whether bytes start with a plausible matrix header, in either byte order."""
    return _byte_order(content) is not None


def affine_bytes(numbers: Sequence[float]) -> bytes:
    """Return the file of an `AffineTransform_double_3_3` with twelve parameters and its centre at 0."""
    name = b"AffineTransform_double_3_3\0"
    return b"".join(
        (
            struct.pack("<5i", 0, 12, 1, 0, len(name)) + name + struct.pack("<12d", *numbers),
            struct.pack("<5i", 0, 3, 1, 0, len(_FIXED_NAME)) + _FIXED_NAME + _CENTER,
        )
    )


def read_transform(content: bytes, path: Path) -> tuple[str, list[float], list[float]]:
    """Return (class, parameters, fixed parameters) of the one transform in the file.

    Raises
    ------
    TransformError
        If the file is truncated, or has anything but one transform.
    """
    arrays = _read_arrays(content, path)
    if len(arrays) != 2 or arrays[1][0] != "fixed":
        raise TransformError(f"{path}: holds {[name for name, _ in arrays]}; one ITK transform was expected.")
    (name, parameters), (_, fixed) = arrays
    return name, parameters, fixed


def _read_arrays(content: bytes, path: Path) -> list[tuple[str, list[float]]]:
    order = _byte_order(content)
    arrays: list[tuple[str, list[float]]] = []
    offset = 0
    while offset < len(content):
        try:
            kind, rows, columns, _, name_bytes = struct.unpack_from(f"{order}5i", content, offset)
            offset += _HEADER_BYTES
            number = np.dtype(f"{order}f{4 if kind % 100 // 10 == 1 else 8}")
            name = content[offset : offset + name_bytes].rstrip(b"\0").decode("latin-1")
            values = np.frombuffer(content, number, rows * columns, offset + name_bytes)
        except (struct.error, ValueError) as error:
            raise TransformError(f"{path}: the .mat file is cut short or damaged ({error}).") from error
        arrays.append((name, values.astype(np.float64).tolist()))
        offset += name_bytes + values.nbytes
    return arrays


def _byte_order(content: bytes) -> str | None:
    for order in "<>":
        if len(content) < _HEADER_BYTES:
            return None
        kind, rows, columns, imaginary, name_bytes = struct.unpack_from(f"{order}5i", content)
        if (
            kind in (0, 10, 1000, 1010)
            and 0 <= rows <= 4096
            and columns == 1
            and imaginary == 0
            and 1 < name_bytes < 256
        ):
            return order
    return None
