"""Output of results: a table on a terminal, tab-separated lines otherwise, JSON, CSV.

Results go to stdout, messages to stderr. `rich` is imported on a terminal only.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnreg.core.files import write_atomic

if TYPE_CHECKING:
    from rich.progress import Progress

Cell = str | float | int | None


def note(message: str) -> None:
    """Print `stnreg: message` to stderr."""
    print(f"stnreg: {message}", file=sys.stderr)


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr, if that is a terminal and `quiet` is not set.

    Yields
    ------
    show : callable
        Call it with the number done and the total.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with progress_bar() as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def progress_bar() -> "Progress":
    """Return a rich progress bar on stderr; tasks have to be added."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def show_table(header: Sequence[str], rows: Iterable[Sequence[Cell]], title: str | None = None) -> None:
    """Print rows: a table if stdout is a terminal, otherwise one tab-separated line each, without a header.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; shown on a terminal.
    rows : iterable of sequences
        Cells. Floats have four digits on a terminal, otherwise ten. The unit `1` is blank on a terminal.
    title : str, optional
        Title of the table on a terminal.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_exact(cell) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # As Text: square brackets in a string would be markup. Folded: hashes and paths must not be truncated.
    table = Table(box=SIMPLE_HEAD, title=None if title is None else Text(title), title_justify="left")
    for name in header:
        is_number = name in ("value", "low", "high", "pairs")
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_short(cell)) for cell in row))
    Console().print(table)


def write_json(document: Any, where: str | Path) -> None:
    """Write a document as JSON to a file, or to stdout if `where` is "-".

    NaN and infinities become null, paths become text, arrays become lists.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    text = json.dumps(_plain(document), indent=2, allow_nan=False) + "\n"
    _write_text(text, where)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]], where: str | Path) -> None:
    """Write rows with their header as CSV to a file, or to stdout if `where` is "-".

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
