"""The level participant: register the T1w images of people, and write a report of each person."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from stnreg.batch.derivatives import write_dataset
from stnreg.batch.naming import bids_with_reports
from stnreg.batch.plan import plan
from stnreg.batch.pool import default_jobs
from stnreg.batch.run import RESULTS, run_batch
from stnreg.batch.table import COLUMNS, Row, read_rows, write_rows
from stnreg.batch.task import BatchTask, Settings
from stnreg.bids_app.people import subjects_in, table_of
from stnreg.commands._target import located
from stnreg.datasets.to_one import pair_with_fixed
from stnreg.datasets.trees import all_bids
from stnreg.errors import DataError, UsageProblem
from stnreg.models.runtime import device_for
from stnreg.registration.options import RegistrationOptions
from stnreg.reports.streams import note
from stnreg.reports.subject import write_subject_page

SUFFIX = "T1w"
NOT_BIDS = ("sub-*.html", f"group_{SUFFIX}.*", "*_registrations.csv", ".work")
"""Outputs of the app that the BIDS specification does not define."""


def run_participants(
    root: Path,
    out: Path,
    labels: Sequence[str],
    *,
    template: Path,
    dof: int,
    deform: bool,
    work_dir: Path,
    jobs: int | None,
    device: str,
    show: Callable[[int, int], None],
) -> list[Row]:
    """Register the T1w images of people to a template, as `stnreg batch --bids` does.

    Parameters
    ----------
    root, out : Path
        The dataset, and the folder of the derivatives.
    labels : sequence of str
        Of people; all if there is none.
    template : Path
        Name or file of the fixed image.
    dof, deform
        As those of `stnreg batch`.
    work_dir : Path
        Holds the tables of runs, from which an interrupted one goes on.
    jobs : int or None
        Images at once.
    device : str
    show : callable
        Called with the number of images that are done, and of all.

    Returns
    -------
    rows : list of Row
        One for each image.

    Raises
    ------
    UsageProblem
        If a label has no folder, or `out` is the dataset itself.
    DataError
        If there is no T1w image, or a folder cannot be written.
    """
    if out.absolute() == root.absolute():
        raise UsageProblem(
            f"{out}: is the dataset itself; give another folder, such as {out / 'derivatives' / 'stnreg'}"
        )
    found = all_bids(root, SUFFIX)
    subjects = subjects_in(root, labels)
    for one in found.missing:
        if one.subject in subjects or not labels:
            note(f"missing: {one.subject} {one.visit}: {one.reason}")
    scans = [scan for scan in found.scans if scan.subject in subjects]
    if not scans:
        raise DataError(f"{root}: no {SUFFIX} image of {', '.join(subjects)} in this dataset.")
    pairs = pair_with_fixed([scan.path for scan in scans], located(template))
    options = RegistrationOptions(dof=dof, deform=deform, device=device_for(device, images=len(pairs)), threads=1)
    sampling = {"interp": "linear", "background": 0.0, "dtype": "float32", "spacing_mm": None}
    tasks, refused = plan(pairs, out, Settings(options, sampling, qc="svg"), bids_with_reports)
    _make_folder(out)
    write_dataset(out, pairs, name="stnreg: T1w images in the space of a template", not_bids=NOT_BIDS)
    rows = run_batch(
        tasks,
        _make_folder(work_dir / _run_name(subjects, is_all=not labels)),
        jobs=jobs or default_jobs(1),
        threads=1,
        resume=True,
        show=show,
        refused=refused,
        order=[pair.id for pair in pairs],
        known=_known(out, work_dir, subjects),
    )
    subject_of = {pair.id: scan.subject for pair, scan in zip(pairs, scans, strict=True)}
    _write_reports(rows, tasks, subject_of, out)
    return rows


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror or error})") from error
    return folder


def _run_name(subjects: Sequence[str], *, is_all: bool) -> str:
    """Return a folder for the table of a run, so that runs with other people can go on at the same time.

    A version of stnreg whose table has other columns begins a new one.
    """
    people = "all" if is_all else _digest(subjects)
    return f"{people}-{_digest(COLUMNS)}"


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(sorted(words)).encode()).hexdigest()[:12]


def _known(out: Path, work_dir: Path, subjects: Sequence[str]) -> dict[str, Row]:
    """Return what earlier runs found, with whichever people; the tables in `out` are of runs that ended."""
    rows: dict[str, Row] = {}
    for table in sorted(work_dir.glob(f"*/{RESULTS}"), key=os.path.getmtime):
        rows |= read_rows(table)
    for subject in subjects:
        rows |= read_rows(table_of(out, subject))
    return rows


def _write_reports(rows: Sequence[Row], tasks: Sequence[BatchTask], subject_of: dict[str, str], out: Path) -> None:
    """Write the table and the page of each person."""
    task_of = {task.id: task for task in tasks}
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        own[subject_of[row["id"]]].append(row)
    for subject, theirs in own.items():
        _make_folder(out / subject)
        write_rows(table_of(out, subject), theirs)
        files = {row["id"]: task_of[row["id"]].shown for row in theirs if row["id"] in task_of}
        write_subject_page(out / f"{subject}.html", subject, theirs, files)
