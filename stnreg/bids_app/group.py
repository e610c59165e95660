"""The level group: one table and one page of all people who were registered."""

from collections.abc import Sequence
from pathlib import Path

from stnreg.batch.naming import bids_with_reports
from stnreg.batch.table import COLUMNS, Row, read_rows, write_rows
from stnreg.bids_app.people import subjects_in, table_of
from stnreg.datasets.pair_table import Pair
from stnreg.errors import DataError
from stnreg.reports.streams import note
from stnreg.reports.study import write_study_page

PLACES = {"fixed", "moving", "transform", "image", "warp", "fingerprint"}
"""Columns that a table of the group has not: they say where files lay during the run, which the names say anyway."""


def run_group(out: Path, labels: Sequence[str]) -> list[Row]:
    """Write `group_T1w.tsv` and `group_T1w.html` of the people in a folder of derivatives.

    Raises
    ------
    UsageProblem
        If a label has no folder.
    DataError
        If nobody was registered, or a file cannot be written.
    """
    rows: list[Row] = []
    for subject in subjects_in(out, labels):
        own = read_rows(table_of(out, subject))
        if not own:
            note(f"{subject}: was not registered by this version of stnreg, and is left out")
        rows += own.values()
    if not rows:
        raise DataError(f"{out}: no registrations here; run the level participant first")
    write_rows(out / "group_T1w.tsv", rows, [name for name in COLUMNS if name not in PLACES], delimiter="\t")
    for line in write_study_page(out / "group_T1w.html", rows, {row["id"]: _files(row, out) for row in rows}):
        note(line)
    return rows


def _files(row: Row, out: Path) -> dict[str, Path]:
    """Return what the page shows of an image, and links."""
    try:
        own = bids_with_reports(Pair(Path(row["fixed"]), Path(row["moving"]), row["id"]), out.absolute())
    except (DataError, TypeError):
        return {}
    report = out / f"{own.image.relative_to(out.absolute()).parts[0]}.html"
    return {"preview": own.preview, "report": report, "JSON": own.document, "image": own.image}
