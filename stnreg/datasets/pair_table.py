"""Tables of pairs, PAIRS.csv, as typed rows.

Columns `fixed,moving`, and optionally `id,subject,fixed_labels,moving_labels,fixed_mask,moving_mask,truth,
transform,warp,split`; others are kept by name. Paths are relative to the folder of the table, or to the working folder
if the table is read from standard input.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from stnreg.errors import DataError
from stnreg.images.templates import NAME, find_template

PATH_COLUMNS = (
    "fixed", "moving", "fixed_labels", "moving_labels", "fixed_mask", "moving_mask", "truth", "transform", "warp",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One row: two images, and optional further data.

    Parameters
    ----------
    fixed, moving : Path
        Images. They may not exist: a missing file is an error of its pair alone.
    id : str
        The table's, or the row's number from 1. Unique in a table.
    subject, split : str, optional
        The person; `train`, `validation` or `test`.
    fixed_labels, moving_labels, fixed_mask, moving_mask : Path, optional
        Label maps, and masks (non-zero inside), each in the space of its image.
    truth, transform : Path, optional
        The true and an estimated transform, fixed to moving.
    warp : Path, optional
        A displacement field that fixed points go through before `transform`.
    other : dict
        Other columns, as text.
    """

    fixed: Path
    moving: Path
    id: str
    subject: str | None = None
    fixed_labels: Path | None = None
    moving_labels: Path | None = None
    fixed_mask: Path | None = None
    moving_mask: Path | None = None
    truth: Path | None = None
    transform: Path | None = None
    split: str | None = None
    warp: Path | None = None
    other: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BadRow:
    """An invalid row.

    Attributes
    ----------
    id : str
        The table's, or the row's number from 1.
    line : int
        Line of the file, from 1.
    reason : str
    """

    id: str
    line: int
    reason: str


def load_pairs(table: str | Path) -> list[Pair]:
    """Read a table of pairs; tab-separated if its name ends in .tsv, `-` for standard input.

    Parameters
    ----------
    table : path or "-"

    Returns
    -------
    pairs : list of Pair
        In the order of the table.

    Raises
    ------
    DataError
        If the table is missing, is not text, has no rows, lacks a column or a cell, or repeats an id.
    """
    pairs = []
    for row in load_rows(table):
        if isinstance(row, BadRow):
            raise DataError(f"{_name(table)}, {row.reason}")
        pairs.append(row)
    return pairs


def load_rows(table: str | Path) -> list[Pair | BadRow]:
    """Read a table of pairs; invalid rows are returned as `BadRow`.

    Empty rows are skipped. Otherwise as `load_pairs`.

    Raises
    ------
    DataError
        If the table is missing, is not text, has no rows, lacks a column, or repeats an id.
    """
    name = _name(table)
    delimiter = "\t" if name.endswith(".tsv") else ","
    try:
        if str(table) == "-":
            return _parse(sys.stdin, name, Path(), delimiter)
        with open(table, encoding="utf-8-sig", newline="") as lines:
            return _parse(lines, name, Path(table).parent, delimiter)
    except OSError as error:
        raise DataError(f"{name}: cannot read this table of pairs ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: expected a CSV text file of pairs ({error})") from error


def _name(table: str | Path) -> str:
    return "standard input" if str(table) == "-" else str(table)


def _parse(lines: Iterable[str], name: str, folder: Path, delimiter: str) -> list[Pair | BadRow]:
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    missing = {"fixed", "moving"} - set(rows.fieldnames or ())
    if missing:
        wanted = " and ".join(sorted(missing))
        raise DataError(f"{name}: expected columns named fixed and moving in the first line, found no {wanted}")
    pairs = list(_rows(rows, folder))
    if not pairs:
        raise DataError(f"{name}: the table has a header and no pairs")
    seen: set[str] = set()
    for pair in pairs:
        if pair.id in seen:
            raise DataError(f"{name}: two rows have the id {pair.id!r}; ids name outputs and must differ")
        seen.add(pair.id)
    return pairs


def _rows(rows: csv.DictReader, folder: Path) -> Iterator[Pair | BadRow]:
    known = {f.name for f in fields(Pair)} - {"other"}
    for number, row in enumerate(rows, start=1):
        cells = {column: cell.strip() for column, cell in row.items() if isinstance(cell, str) and cell.strip()}
        name = cells.get("id", str(number))
        if None in row or None in row.values():
            expected = len(rows.fieldnames or ())
            yield BadRow(name, rows.line_num, f"line {rows.line_num}: expected {expected} cells, as in the first line")
            continue
        if not cells:
            continue
        empty = next((column for column in ("fixed", "moving") if column not in cells), None)
        if empty is not None:
            yield BadRow(name, rows.line_num, f"line {rows.line_num}: the cell under {empty} is empty")
            continue
        values: dict = {c: _path(folder, v) if c in PATH_COLUMNS else v for c, v in cells.items() if c in known}
        other = {c: v for c, v in cells.items() if c not in known}
        yield Pair(**({"id": str(number)} | values), other=other)


def _path(folder: Path, cell: str) -> Path:
    """Return the file of a cell; that of a template if the cell is its name, and no file beside the table has it."""
    path = folder / cell
    template = find_template(cell) if NAME.fullmatch(cell) and not path.exists() else None
    return path if template is None else template.path
