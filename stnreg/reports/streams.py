"""How results reach people and scripts: a table on a terminal, tab-separated lines off it, JSON, CSV.

Results go to stdout, talk to stderr. `rich` is loaded only when a terminal is there to show it.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stnreg.core.files import write_atomic

Cell = str | float | int | None


def note(message: str) -> None:
    """Say something to the person at the terminal, on stderr, as `stnreg: message`."""
    print(f"stnreg: {message}", file=sys.stderr)


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show progress as a bar on stderr; nothing is shown off a terminal, or where `quiet` is set.

    Yields
    ------
    show : callable
        Call it with how many are done, of how many.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_table(header: Sequence[str], rows: Iterable[Sequence[Cell]], title: str | None = None) -> None:
    """Print rows: a table where stdout is a terminal, else one tab-separated line each, without a header.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; shown on a terminal.
    rows : iterable of sequences
        Cells. Floats keep ten digits off a terminal and four on it; the unit `1` is left blank on it.
    title : str, optional
        A line above the table on a terminal.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_exact(cell) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # As Text, since square brackets in a string are markup; folded, since a hash or a path without its end is none.
    table = Table(box=SIMPLE_HEAD, title=None if title is None else Text(title), title_justify="left")
    for name in header:
        is_number = name in ("value", "low", "high", "pairs")
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_short(cell)) for cell in row))
    Console().print(table)


def write_json(document: Any, where: str | Path) -> None:
    """Write a document as JSON to a file, or to stdout where `where` is "-".

    What JSON cannot say becomes null: NaN and infinities. Paths become text, arrays lists.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    text = json.dumps(_plain(document), indent=2, allow_nan=False) + "\n"
    _write_text(text, where)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]], where: str | Path) -> None:
    """Write rows with their header as CSV to a file, or to stdout where `where` is "-".

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_exact(cell) for cell in row] for row in rows])
    _write_text(text.getvalue(), where)


def _write_text(text: str, where: str | Path) -> None:
    if str(where) == "-":
        sys.stdout.write(text)
        return
    write_atomic(where, text.encode())


def _exact(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.10g}" if isinstance(cell, float) else str(cell)


def _short(cell: Cell) -> str:
    if isinstance(cell, float):
        return "-" if math.isnan(cell) else f"{cell:.4g}"
    return "" if cell in (None, "1") else str(cell)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
