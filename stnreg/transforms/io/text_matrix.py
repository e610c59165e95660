"""Plain 4x4 matrices: sixteen numbers in a text file, without their space."""

from pathlib import Path

import numpy as np

from stnreg.errors import TransformError
from stnreg.geometry.matrix import Matrix
from stnreg.transforms.io.itk import check_invertible, digits


def read_text_matrix(content: bytes, path: Path) -> Matrix:
    """Return the (4, 4) of a text file of four rows; TransformError on anything else. What follows a # is a comment."""
    try:
        lines = [line.partition("#")[0].split() for line in content.decode("utf-8").splitlines()]
        rows = [[float(number) for number in line] for line in lines]
    except ValueError as error:  # UnicodeDecodeError is one
        raise TransformError(f"{path}: expected four rows of four numbers ({error}).") from error
    rows = [row for row in rows if row]
    if [len(row) for row in rows] != [4, 4, 4, 4]:
        raise TransformError(f"{path}: expected four rows of four numbers, got rows of {[len(row) for row in rows]}.")
    return check_invertible(np.array(rows), path)


def text_matrix_bytes(matrix: Matrix) -> bytes:
    """Return four rows with all digits, and an empty one, which marks files of stnreg."""
    rows = [" ".join(map(digits, row)) for row in (matrix + 0.0).tolist()]
    return "\n".join([*rows, "", ""]).encode("ascii")
