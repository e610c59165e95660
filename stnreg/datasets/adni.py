"""Scans of an ADNI download: PTID/sequence/date/image-id/*.nii, with the visits of TADPOLE_D1_D2.csv if given."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

from stnreg.datasets.scans import Found, Missing, Repeats, Scan, check_root, images_in, one_per_visit
from stnreg.errors import DataError

PERSON = re.compile(r"\d{3}_S_\d{4,5}")
NEEDED = ("RID", "PTID", "VISCODE", "EXAMDATE")
DAYS = 60  # largest distance between a scan and the examination of its visit


@dataclass(frozen=True)
class Visit:
    """One examination of the table."""

    code: str
    day: date

    @property
    def name(self) -> str:
        """Name that starts with the date, so that visits sort in time."""
        return f"{self.day} {self.code}"


@dataclass(frozen=True)
class Taken:
    """One image of the download, and the date of its folder."""

    path: Path
    day: date


def find_adni(
    root: Path, table: Path | None = None, sequence: str = "*", repeats: Repeats = "leave", days: int = DAYS
) -> Found:
    """Find the scans of an ADNI download.

    Parameters
    ----------
    root : Path
        The folder with one folder per person (002_S_0295), directly or one level down.
    table : Path, optional
        TADPOLE_D1_D2.csv, or any CSV with RID, PTID, VISCODE, EXAMDATE: scans are assigned to its visits, and visits
        without a scan are listed. Without a table, every date with a scan is a visit.
    sequence : str
        Sequence folders to include, as a shell pattern.
    repeats : {"leave", "first"}
        Leave out visits with several images, or take the first image.
    days : int
        Largest number of days between a scan and the examination of its visit.

    Raises
    ------
    DataError
        If there are no such folders, or the table cannot be used.
    """
    check_root(root)
    people = _people(root)
    if not people:
        raise DataError(f"{root}: no folder named as a person of ADNI (002_S_0295) here or one level down.")
    visits = read_visits(table) if table else None
    scans: list[Scan] = []
    missing: list[Missing] = []
    for person, folder in sorted(people.items()):
        taken = list(_images(person, folder, sequence, missing))
        if visits is None:
            scans += [Scan(image.path, person, str(image.day)) for image in taken]
        else:
            scans += _at_visits(person, taken, visits.get(person, []), days, missing)
    for person in sorted(set(visits or {}) - set(people)):
        missing.append(Missing(person, "", f"in {table.name if table else ''}, no folder in {root}"))
    return one_per_visit(scans, missing, repeats)


def read_visits(table: Path) -> dict[str, list[Visit]]:
    """Read the visits of each person (PTID) from a table.

    Raises
    ------
    DataError
        If it cannot be read, or lacks a column, or a date is not YYYY-MM-DD.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            absent = [name for name in NEEDED if name not in header]
            if absent:
                raise DataError(f"{table}: expected columns {', '.join(NEEDED)}; found no {', '.join(absent)}")
            person, code, day = (header.index(name) for name in NEEDED[1:])
            visits: dict[str, list[Visit]] = {}
            for row in rows:
                if row:
                    visits.setdefault(row[person].strip(), []).append(
                        Visit(row[code].strip(), _day(row[day].strip(), table, rows.line_num))
                    )
    except (OSError, UnicodeDecodeError, csv.Error, IndexError) as error:
        raise DataError(f"{table}: cannot be read as a table of visits ({error})") from error
    return visits


def _day(text: str, table: Path, line: int) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{table}, line {line}: expected EXAMDATE as YYYY-MM-DD, got {text!r}") from error


def _people(root: Path) -> dict[str, Path]:
    """Return the folders of people, in `root` or one level down (downloads have a folder ADNI/)."""
    inside = [path for path in sorted(root.iterdir()) if path.is_dir()]
    deeper = [path for folder in inside if not PERSON.fullmatch(folder.name) for path in sorted(folder.iterdir())]
    return {path.name: path for path in (*deeper, *inside) if path.is_dir() and PERSON.fullmatch(path.name)}


def _images(person: str, folder: Path, sequence: str, missing: list[Missing]) -> Iterator[Taken]:
    """Yield the images of one person; folders without a date or without an image are added to `missing`."""
    for kind in sorted(path for path in folder.iterdir() if path.is_dir() and fnmatch(path.name, sequence)):
        for when in sorted(path for path in kind.iterdir() if path.is_dir()):
            try:
                day = date.fromisoformat(when.name[:10])
            except ValueError:
                missing.append(Missing(person, "", f"{when}: expected a day (2006-04-18...) as the folder's name"))
                continue
            for holder in sorted(path for path in when.iterdir() if path.is_dir()):
                images = images_in(holder)
                if not images:
                    missing.append(Missing(person, str(day), f"{holder}: no NIfTI (DICOM? convert it with dcm2niix)"))
                yield from (Taken(image, day) for image in images)


def _at_visits(
    person: str, taken: list[Taken], visits: list[Visit], days: int, missing: list[Missing]
) -> Iterator[Scan]:
    """Assign each image to the nearest visit within `days`; add unmatched images and visits to `missing`."""
    used = set()
    for image in taken:
        near = sorted((abs((visit.day - image.day).days), visit.name) for visit in visits)
        if not near or near[0][0] > days:
            missing.append(Missing(person, str(image.day), f"{image.path}: no visit of the table within {days} days"))
        elif len(near) > 1 and near[0][0] == near[1][0]:
            missing.append(Missing(person, str(image.day), f"{image.path}: as near to one visit as to another"))
        else:
            used.add(near[0][1])
            yield Scan(image.path, person, near[0][1])
    missing += [Missing(person, visit.name, "no scan of this visit") for visit in visits if visit.name not in used]
