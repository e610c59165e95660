"""From a table to the work in it: a task for each row that can be one, and for the others the row of an error."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stnreg.batch.naming import Scheme
from stnreg.batch.table import ERROR, Row
from stnreg.batch.task import Settings, Task, make_tasks
from stnreg.datasets.pair_table import BadRow, Pair
from stnreg.errors import DataError


def plan(
    rows: Sequence[Pair | BadRow], folder: Path, settings: Settings, scheme: Scheme
) -> tuple[list[Task], list[Row]]:
    """Lay out the work of a table; one row's trouble is not the others'.

    Parameters
    ----------
    rows : sequence of Pair or BadRow
    folder : Path
        Where the outputs go.
    settings : Settings
    scheme : Scheme
        How outputs are named.

    Returns
    -------
    tasks : list of Task
    refused : list of Row
        Of rows that lack a cell, have no name for their outputs, or would write what an earlier one writes.
    """
    tasks: list[Task] = []
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
    """Remove the folders of tasks that came to nothing, up to the folder of the batch, where they are empty.

    For the end of a batch: before that, a worker may be about to write into one.
    """
    top = folder.absolute()
    for place in {path.parent for task in tasks for path in task.wanted}:
        with suppress(OSError):  # one that is not empty, or not there
            while place != top and top in place.parents:
                place.rmdir()
                place = place.parent


def _images(pair: Pair) -> Row:
    return {"fixed": pair.fixed.absolute(), "moving": pair.moving.absolute()}


def _refused(name: str, reason: str) -> Row:
    return {"id": name, "status": ERROR, "reasons": reason}
