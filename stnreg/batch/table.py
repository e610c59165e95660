"""The table of results. A row is appended when a pair is done, so that an interrupted run loses nothing."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from stnreg.core.files import MOVES_OPEN_FILES, write_atomic
from stnreg.errors import DataError

Row = dict[str, Any]

PASSED, FAILED, NOT_JUDGED, ERROR, LOST = "passed", "failed", "not judged", "error", "lost"
"""Accepted; rejected; not assessed (a pair network alone); error, with the reason; the worker died twice."""
DONE = (PASSED, FAILED, NOT_JUDGED)

COLUMNS = (
    *("id", "status", "score", "reasons", "same_person", "local_correlation", "overlap", "dof"),
    *(f"translation_{axis}_mm" for axis in "xyz"),
    *(f"rotation_{axis}_deg" for axis in "xyz"),
    *(f"scale_{axis}" for axis in "xyz"),
    *(f"shear_{axes}" for axes in ("xy", "xz", "yz")),
    *("warnings", "fixed", "moving", "transform", "image"),
    *("subject", "split", "truth", "fixed_labels", "moving_labels", "fixed_mask", "moving_mask", "fingerprint"),
    *("tries", "read_s", "network_s", "refine_s", "write_s", "total_s"),
    *("log_jacobian_sd", "folds", "warp"),
)
"""Those from `tries` to `total_s` tell of the run; all others are the same whenever and wherever it ran.

The last three are empty without a deformation: standard deviation of the logarithm of its Jacobian determinant inside
the fixed brain, voxels at which it folds by the digital criterion, and its file where `transform` is the affine alone.
"""


class Table:
    """`results.csv`, held open by one run at a time.

    Parameters
    ----------
    path : Path
        Created if missing.
    keep : bool
        Whether to keep the existing rows, or to start a new table.
    columns : sequence of str
        Of the table; the first one is `id`.

    Attributes
    ----------
    rows : dict of str to Row
        By id. Values that were read from the file are text.

    Raises
    ------
    DataError
        If it cannot be written, is not a table of results, or is locked by another run.
    """

    def __init__(self, path: Path, *, keep: bool, columns: Sequence[str] = COLUMNS) -> None:
        self.path = path
        self.columns = tuple(columns)
        self._lock = _locked(path.with_name(f".{path.name}.lock"))
        try:
            self.rows: dict[str, Row] = _load(path, self.columns) if keep and path.exists() else {}
            self._write(self.rows)  # also drops a truncated row
            self._stream = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115 (closed by __exit__)
        except OSError as error:
            self._unlock()
            raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
        except DataError:
            self._unlock()
            raise

    def _unlock(self) -> None:
        if not MOVES_OPEN_FILES:
            self._lock.close()
        with suppress(OSError):  # while it is locked, so that it is not another run's
            Path(self._lock.name).unlink(missing_ok=True)
        self._lock.close()

    def __enter__(self) -> "Table":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._unlock()

    def add(self, row: Row) -> None:
        """Append a row, and flush it to the file."""
        self.rows[row["id"]] = row
        self._stream.write(self._line(row))
        self._stream.flush()

    def finish(self, ids: Sequence[str]) -> list[Row]:
        """Sort the rows by `ids`, drop others, and return them."""
        ordered = {name: self.rows[name] for name in ids if name in self.rows}
        self._stream.close()
        self._write(ordered)
        return list(ordered.values())

    def _write(self, rows: Mapping[str, Row]) -> None:
        write_rows(self.path, rows.values(), self.columns)

    def _line(self, row: Row) -> str:
        return _line(row, self.columns)


def write_rows(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS, delimiter: str = ",") -> None:
    """Write a whole table.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    lines = [delimiter.join(columns) + "\n", *(_line(row, columns, delimiter) for row in rows)]
    write_atomic(path, "".join(lines).encode())


def read_rows(path: Path, columns: Sequence[str] = COLUMNS) -> dict[str, Row]:
    """Return the rows of a table, by id, as text; none if it is not there, or of another version of stnreg."""
    try:
        return _load(path, tuple(columns))
    except DataError:
        return {}


def _line(row: Row, columns: Sequence[str], delimiter: str = ",") -> str:
    text = io.StringIO()
    cells = [_cell(row.get(column)) for column in columns]
    csv.writer(text, lineterminator="\n", delimiter=delimiter).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return " ".join(text.split())  # one row, one line


def _load(path: Path, columns: tuple[str, ...]) -> dict[str, Row]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    whole = text[: text.rfind("\n") + 1]  # the last line may be truncated
    rows = list(csv.DictReader(io.StringIO(whole)))
    if whole and tuple(csv.DictReader(io.StringIO(whole)).fieldnames or ()) != columns:
        raise DataError(f"{path}: was not written by this version of stnreg; use another folder, or do not resume")
    return {row["id"]: dict(row) for row in rows}


def _locked(path: Path) -> Any:
    """Lock a file for the life of this process, if the system supports locks."""
    while True:
        try:
            stream = open(path, "w")  # noqa: SIM115 (held open as the lock)
        except OSError as error:
            raise DataError(f"{path.parent}: cannot be written to ({error.strerror or error})") from error
        try:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise DataError(
                f"{path.parent}: another run writes its results here; wait for it, or choose another"
            ) from None
        except (ImportError, OSError):  # no locks on this system or file system
            return stream
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                return stream
        stream.close()  # its owner has removed it
