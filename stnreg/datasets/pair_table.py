"""The table of cases, PAIRS.csv, as typed rows.

Columns `fixed,moving`, and where wanted `id,subject,fixed_labels,moving_labels,fixed_mask,moving_mask,truth,
transform,split`; others are kept by name. Paths are relative to the table's own folder, or to the working folder
where the table comes from standard input.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from stnreg.errors import DataError

PATH_COLUMNS = (
    "fixed", "moving", "fixed_labels", "moving_labels", "fixed_mask", "moving_mask", "truth", "transform",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One row: two images, and what is known of them.

    Parameters
    ----------
    fixed, moving : Path
        Images. Whether they exist is the reader's business, so one bad row need not end a table.
    id : str
        The table's, or the row's number from 1. Unique in a table.
    subject, split : str, optional
        Whose scans these are; `train`, `validation` or `test`.
    fixed_labels, moving_labels, fixed_mask, moving_mask : Path, optional
        Label maps, and masks (1 = look here), each in its image's space.
    truth, transform : Path, optional
        The true and an estimated transform, fixed to moving.
    other : dict
        Columns that we do not know, as text.
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
    other: dict[str, str] = field(default_factory=dict)


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
        If the table is missing, is no text, has no rows, lacks a column or a cell, or names an id twice.
    """
    name = "standard input" if str(table) == "-" else str(table)
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


def _parse(lines: Iterable[str], name: str, folder: Path, delimiter: str) -> list[Pair]:
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    missing = {"fixed", "moving"} - set(rows.fieldnames or ())
    if missing:
        wanted = " and ".join(sorted(missing))
        raise DataError(f"{name}: expected columns named fixed and moving in the first line, found no {wanted}")
    pairs = list(_rows(rows, name, folder))
    if not pairs:
        raise DataError(f"{name}: the table has a header and no pairs")
    seen: set[str] = set()
    for pair in pairs:
        if pair.id in seen:
            raise DataError(f"{name}: two rows have the id {pair.id!r}; ids name outputs and must differ")
        seen.add(pair.id)
    return pairs


def _rows(rows: csv.DictReader, name: str, folder: Path) -> Iterator[Pair]:
    known = {f.name for f in fields(Pair)} - {"other"}
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise DataError(
                f"{name}, line {rows.line_num}: expected {len(rows.fieldnames or ())} cells, as in the first line"
            )
        cells = {column: cell.strip() for column, cell in row.items() if cell.strip()}
        for column in ("fixed", "moving"):
            if column not in cells:
                raise DataError(f"{name}, line {rows.line_num}: the cell under {column} is empty")
        values: dict = {c: folder / v if c in PATH_COLUMNS else v for c, v in cells.items() if c in known}
        other = {c: v for c, v in cells.items() if c not in known}
        yield Pair(**({"id": str(number)} | values), other=other)
