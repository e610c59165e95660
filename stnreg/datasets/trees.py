"""Find the scans of a BIDS dataset or of plain folders."""

import csv
from collections.abc import Iterator
from pathlib import Path

from stnreg.datasets.scans import Found, Missing, Repeats, Scan, check_root, images_in, one_per_visit
from stnreg.errors import DataError
from stnreg.images.suffixes import NIFTI

ONLY = "only"  # name of a single visit


def find_bids(root: Path, suffix: str = "T1w", repeats: Repeats = "leave") -> Found:
    """Find the anatomical scans of a BIDS dataset: sub-*/[ses-*/]anat/*_SUFFIX.nii[.gz].

    People of participants.tsv and sessions of sub-*_sessions.tsv without a scan are listed as missing.

    Raises
    ------
    DataError
        If there is no sub-* folder.
    """
    found = all_bids(root, suffix)
    return one_per_visit(found.scans, found.missing, repeats)


def all_bids(root: Path, suffix: str = "T1w") -> Found:
    """Find all anatomical scans of a BIDS dataset, also several of one visit. Otherwise as `find_bids`."""
    check_root(root)
    folders = sorted(path for path in root.glob("sub-*") if path.is_dir())
    if not folders:
        raise DataError(f"{root}: no folder sub-* here; give the root of a BIDS dataset.")
    scans: list[Scan] = []
    missing: list[Missing] = []
    for folder in folders:
        sessions = {path.name: path for path in sorted(folder.glob("ses-*")) if path.is_dir()} or {ONLY: folder}
        for session in sorted(_listed(folder / f"{folder.name}_sessions.tsv", "session_id") - set(sessions)):
            missing.append(Missing(folder.name, session, "in the table of sessions, no folder"))
        for session, where in sessions.items():
            images = [path for path in _anatomical(where) if _bids_suffix(path) == suffix]
            if not images:
                missing.append(Missing(folder.name, session, f"no {suffix} image in {where / 'anat'}"))
            scans += [Scan(path, folder.name, session) for path in images]
    for person in sorted(_listed(root / "participants.tsv", "participant_id") - {path.name for path in folders}):
        missing.append(Missing(person, "", "in participants.tsv, no folder"))
    return Found(tuple(scans), tuple(missing))


def find_folder(root: Path) -> Found:
    """Find scans in plain folders: an image in `root` is a person, a folder in it a person whose images are visits.

    Visits sort by the names of their images; folders without an image are listed as missing.

    Raises
    ------
    DataError
        If there is no image at all.
    """
    check_root(root)
    scans = [Scan(path, _stem(path), ONLY) for path in images_in(root)]
    missing = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        images = images_in(folder)
        scans += [Scan(path, folder.name, _stem(path)) for path in images]
        if not images:
            missing.append(Missing(folder.name, "", f"no image in {folder}"))
    if not scans:
        raise DataError(f"{root}: no image here, nor in the folders in it.")
    return one_per_visit(scans, missing, "leave")


def _anatomical(where: Path) -> Iterator[Path]:
    folder = where / "anat"
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.name.endswith(NIFTI))


def _bids_suffix(path: Path) -> str:
    return _stem(path).rpartition("_")[2]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".mgz")


def _listed(table: Path, column: str) -> set[str]:
    """Return the values of a column of a TSV; empty without the table.

    Raises
    ------
    DataError
        If the table has no such column.
    """
    if not table.is_file():
        return set()
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        if column not in (rows.fieldnames or ()):
            raise DataError(f"{table}: expected a column {column}")
        return {row[column].strip() for row in rows if row[column]}
