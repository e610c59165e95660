"""Tables of subjects with several visits: the columns subject, session and image, one row for each visit.

The column exclude may be there, too: a mask of what to ignore in that visit.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stnreg.datasets.scans import Scan
from stnreg.errors import DataError

COLUMNS = ("subject", "session", "image")
EXCLUDE = "exclude"  # a column that may be there: a mask of what to ignore


@dataclass(frozen=True)
class Subject:
    """A person with their visits.

    Attributes
    ----------
    id : str
        Unique in a table.
    sessions : tuple of str
        Names of the visits, in their order.
    images : tuple of Path
        One for each visit. They may not exist: a missing file is an error of its visit alone.
    excludes : dict of str to Path
        By session: a mask of what to ignore, where there is one.
    """

    id: str
    sessions: tuple[str, ...]
    images: tuple[Path, ...]
    excludes: dict[str, Path] = field(default_factory=dict)


def load_subjects(table: Path) -> list[Subject]:
    """Read a table of subjects; tab-separated if its name ends in .tsv. Paths are relative to its folder.

    Returns
    -------
    subjects : list of Subject
        In the order of the table.

    Raises
    ------
    DataError
        If the table is missing, is not text, has no rows, lacks a column or a cell, or repeats a session.
    """
    try:
        with open(table, encoding="utf-8-sig", newline="") as lines:
            rows = list(
                csv.DictReader(lines, delimiter="\t" if table.name.endswith(".tsv") else ",", skipinitialspace=True)
            )
    except OSError as error:
        raise DataError(f"{table}: cannot read this table of subjects ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: expected a CSV text file of subjects ({error})") from error
    missing = [column for column in COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise DataError(f"{table}: expected rows with the columns subject, session and image; no {', '.join(missing)}")
    visits: dict[str, dict[str, Path]] = {}
    masks: dict[str, dict[str, Path]] = {}
    for number, row in enumerate(rows, start=2):
        subject, session, image = ((row[column] or "").strip() for column in COLUMNS)
        if not (subject and session and image):
            raise DataError(f"{table}, line {number}: a cell under subject, session or image is empty")
        if session in visits.setdefault(subject, {}):
            raise DataError(f"{table}, line {number}: session {session} of {subject} is there twice")
        visits[subject][session] = table.parent / image
        if mask := (row.get(EXCLUDE) or "").strip():
            masks.setdefault(subject, {})[session] = table.parent / mask
    return [Subject(name, tuple(own), tuple(own.values()), masks.get(name, {})) for name, own in visits.items()]


def subjects_of(scans: Sequence[Scan]) -> list[Subject]:
    """Group the scans of a dataset by person, each with the visits in the order of their names."""
    people: dict[str, list[Scan]] = {}
    for scan in scans:
        people.setdefault(scan.subject, []).append(scan)
    found = []
    for name, own in people.items():
        own.sort(key=lambda scan: scan.visit)
        found.append(Subject(name, tuple(scan.visit for scan in own), tuple(scan.path for scan in own)))
    return found


def session_names(images: Sequence[Path]) -> list[str]:
    """Name visits after their files; after their folders too if the files have one name.

    Examples
    --------
    >>> session_names([Path("a.nii.gz"), Path("b.nii.gz")])
    ['a', 'b']
    >>> session_names([Path("1/t1.nii"), Path("2/t1.nii")])
    ['1_t1', '2_t1']
    >>> session_names([Path("0.5y.nii.gz"), Path("0.7y.nii.gz")])
    ['0.5y', '0.7y']
    """
    parts = [[*path.absolute().parts[1:-1], Path(path.name.removesuffix(".gz")).stem] for path in images]
    for count in range(1, max((len(one) for one in parts), default=1) + 1):
        names = ["_".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{k + 1}" for k, name in enumerate(names)]  # one file, given twice
