"""Scans with their person and visit, and a list of what is missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stnreg.errors import DataError
from stnreg.images.suffixes import SCANS

NOT_SCANS = ("_label", "_seg", "_mask", "_brainmask", "_transform")
Repeats = Literal["leave", "first"]


@dataclass(frozen=True)
class Scan:
    """One image of one person at one visit.

    Attributes
    ----------
    path : Path
    subject : str
    visit : str
        Name of the visit; the visits of a person sort by it in time.
    """

    path: Path
    subject: str
    visit: str


@dataclass(frozen=True)
class Missing:
    """A scan that is missing or ambiguous. Ambiguous scans are left out."""

    subject: str
    visit: str
    reason: str


@dataclass(frozen=True)
class Found:
    """The scans of a dataset, at most one per visit, and what is missing."""

    scans: tuple[Scan, ...]
    missing: tuple[Missing, ...]


def check_root(root: Path) -> None:
    """Raise DataError if `root` is not a folder."""
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; give the one that the scans lie under.")


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder, sorted by name, without label maps and masks."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.endswith(SCANS) and not any(word in path.name.lower() for word in NOT_SCANS)
    )


def one_per_visit(candidates: Iterable[Scan], missing: Iterable[Missing], repeats: Repeats) -> Found:
    """Keep visits with one image; of several images take the first by path, or leave the visit out.

    Parameters
    ----------
    candidates : iterable of Scan
    missing : iterable of Missing
        Found so far.
    repeats : {"leave", "first"}
    """
    by_visit: dict[tuple[str, str], list[Scan]] = {}
    for scan in candidates:
        by_visit.setdefault((scan.subject, scan.visit), []).append(scan)
    kept, left = [], list(missing)
    for (subject, visit), scans in sorted(by_visit.items()):
        scans.sort(key=lambda scan: str(scan.path))
        if len(scans) > 1 and repeats == "leave":
            names = ", ".join(str(scan.path) for scan in scans)
            left.append(Missing(subject, visit, f"{len(scans)} images, which one is not said: {names}"))
        else:
            kept.append(scans[0])
    return Found(tuple(kept), tuple(sorted(left, key=lambda m: (m.subject, m.visit, m.reason))))
