"""Plan a batch: a task for each valid row of a table, and an error row for the others."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stnreg.batch.naming import Scheme
from stnreg.batch.table import ERROR, Row
from stnreg.batch.task import BatchTask, Settings, Task, make_tasks
from stnreg.datasets.pair_table import BadRow, Pair
from stnreg.errors import DataError


def plan(
    rows: Sequence[Pair | BadRow], folder: Path, settings: Settings, scheme: Scheme
) -> tuple[list[BatchTask], list[Row]]:
    """Plan the tasks of a table; an invalid row does not affect the others.

    Parameters
    ----------
    rows : sequence of Pair or BadRow
    folder : Path
        Folder of the outputs.
    settings : Settings
    scheme : Scheme
        Naming scheme of the outputs.

    Returns
    -------
    tasks : list of BatchTask
    refused : list of Row
        Error rows, for rows that lack a cell, have no valid output name, or have the outputs of an earlier row.
    """
    tasks: list[BatchTask] = []
    refused: list[Row] = []
    taken: dict[Path, str] = {}
    for row in rows:
        if isinstance(row, BadRow):
            refused.append(_refused(row.id, row.reason))
            continue
        try:
            (task,) = make_tasks([row], folder, settings, scheme)
        except DataError as error:
            refused.append(_refused(row.id, str(error)) | _images(row))
            continue
        other = taken.setdefault(task.outputs.transform, row.id)
        if other == row.id:
            tasks.append(task)
        else:
            reason = f"would write {task.outputs.transform}, as {other} does"
            refused.append(_refused(row.id, reason) | _images(row))
    return tasks, refused


def remove_empty_folders(tasks: Sequence[Task], folder: Path) -> None:
    """Remove empty folders of failed tasks, up to the folder of the batch.

    Only at the end of a batch: before that, a worker may be about to write into one.
    """
    top = folder.absolute()
    for place in {path.parent for task in tasks for path in task.wanted}:
        with suppress(OSError):  # not empty, or missing
            while place != top and top in place.parents:
                place.rmdir()
                place = place.parent


def _images(pair: Pair) -> Row:
    return {"fixed": pair.fixed.absolute(), "moving": pair.moving.absolute()}


def _refused(name: str, reason: str) -> Row:
    return {"id": name, "status": ERROR, "reasons": reason}
