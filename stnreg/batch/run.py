"""Run a batch: skip finished pairs, register the others, keep the table of results."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from stnreg.batch.plan import remove_empty_folders
from stnreg.batch.pool import run_local
from stnreg.batch.table import COLUMNS, DONE, Row, Table
from stnreg.batch.task import Task, digest_file

Show = Callable[[int, int], None]
RESULTS = "results.csv"


def run_batch(
    tasks: Sequence[Task],
    folder: Path,
    *,
    jobs: int,
    threads: int,
    dask: str | None = None,
    resume: bool = False,
    show: Show = lambda done, total: None,
    refused: Sequence[Row] = (),
    order: Sequence[str] | None = None,
    columns: Sequence[str] = COLUMNS,
    known: Mapping[str, Row] | None = None,
) -> list[Row]:
    """Register all pairs, and keep the table of results.

    Parameters
    ----------
    tasks : sequence of Task
    folder : Path
        Folder of `results.csv`; created if missing.
    jobs, threads : int
        Local workers, and threads of each.
    dask : str, optional
        Address of a Dask scheduler, to use instead of local workers.
    resume : bool
        Whether to skip pairs that are done, from the same inputs and settings.
    show : callable
        Called with the number of pairs are done so far, and the total.
    refused : sequence of Row
        Error rows of the table; kept with the others.
    order : sequence of str, optional
        The ids in the order of the table; by default that of the tasks.
    columns : sequence of str
        Of the table of results.
    known : mapping of str to Row, optional
        With `resume`: rows of earlier runs elsewhere, for pairs that the table has not got.

    Returns
    -------
    rows : list of Row
        In that order.

    Raises
    ------
    DataError
        If the folder cannot be written to, or no scheduler answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Table(folder / RESULTS, keep=resume, columns=columns) as table:
        earlier = (known or {}) if resume else {}
        for task in tasks:
            if task.id in earlier and task.id not in table.rows:
                table.add(earlier[task.id])
        left = _left(tasks, table.rows) if resume else list(tasks)
        done = len(tasks) - len(left)
        show(done, len(tasks))
        for row in refused:
            table.add(row)
        with closing(_rows(left, jobs, threads, dask)) as rows:  # closing it ends its workers
            for row in rows:
                table.add(row)
                done += 1
                show(done, len(tasks))
        found = table.finish([task.id for task in tasks] if order is None else order)
    failed = {row["id"] for row in found if row["status"] not in DONE}
    remove_empty_folders([task for task in tasks if task.id in failed], folder)
    return found


def _rows(tasks: Sequence[Task], jobs: int, threads: int, dask: str | None) -> Generator[Row]:
    if dask is None:
        yield from run_local(tasks, jobs, threads)
    elif tasks:
        from stnreg.batch.cluster import run_on_dask

        yield from run_on_dask(tasks, dask)


def _left(tasks: Sequence[Task], rows: dict[str, Row]) -> list[Task]:
    """Return the tasks without a result for their current inputs and settings, or with missing outputs."""
    digest = lru_cache(maxsize=None)(digest_file)  # a shared fixed image is hashed once

    def is_done(task: Task) -> bool:
        row = rows.get(task.id, {})
        if row.get("status") not in DONE or not all(path.is_file() for path in task.wanted):
            return False
        try:
            return row.get("fingerprint") == task.fingerprint(digest)
        except OSError:
            return False

    return [task for task in tasks if not is_done(task)]
