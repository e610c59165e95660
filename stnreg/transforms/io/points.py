"""Tables of points: CSV with columns x, y, z, as for antsApplyTransformsToPoints. Other columns are kept."""

import csv
import io
import os
import sys
from dataclasses import dataclass

import numpy as np

from stnreg.core.files import check_input, write_atomic
from stnreg.errors import DataError
from stnreg.geometry.matrix import Points


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points and their table.

    Attributes
    ----------
    points : (N, 3) float64
        In the space of the table, mm.
    header : tuple of str
        Column names; empty if the table has none.
    rows : tuple of tuple of str
        All cells, unchanged.
    columns : tuple of int
        Which columns are x, y, z.
    """

    points: Points
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[int, int, int]


def load_points(path: str | os.PathLike[str]) -> PointTable:
    """Read a table of points; `-` is stdin.

    Columns are found by the names x, y, z in the first line. Without names the first three are used.

    Raises
    ------
    DataError
        If the file is missing, or a row does not have three finite numbers.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else check_input(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not a text table ({error}).") from error
    lines = [tuple(cell.strip() for cell in row) for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    header: tuple[str, ...] = ()
    columns = (0, 1, 2)
    if lines and not _is_number(lines[0][0]):
        header, *lines = lines
        names = [name.lower() for name in header]
        try:
            columns = names.index("x"), names.index("y"), names.index("z")
        except ValueError as error:
            raise DataError(f"{path}: expected columns x, y, z, got {', '.join(header)}.") from error
    points = np.empty((len(lines), 3))
    for number, row in enumerate(lines, start=1 + bool(header)):
        try:
            points[number - 1 - bool(header)] = [float(row[column]) for column in columns]
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}: line {number} does not hold three numbers: {','.join(row)}") from error
    if not np.isfinite(points).all():
        raise DataError(f"{path}: holds points that are not finite.")
    return PointTable(points, header, tuple(lines), columns)


def save_points(path: str | os.PathLike[str], points: Points, *, like: PointTable) -> None:
    """Write points into a copy of their table, atomically; `-` is stdout."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if like.header:
        writer.writerow(like.header)
    for row, point in zip(like.rows, points, strict=True):
        cells = list(row)
        for column, value in zip(like.columns, point.tolist(), strict=True):
            cells[column] = repr(value)
        writer.writerow(cells)
    if str(path) == "-":
        sys.stdout.write(stream.getvalue())
    else:
        write_atomic(path, stream.getvalue().encode())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
