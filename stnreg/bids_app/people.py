"""The people of a dataset, and the table of each: what both levels of the app know of them."""

from collections.abc import Sequence
from pathlib import Path

from stnreg.errors import UsageProblem


def subjects_in(root: Path, labels: Sequence[str]) -> list[str]:
    """Return the names of people with a folder in a dataset, as `sub-01`: all, or those of the labels.

    Raises
    ------
    UsageProblem
        If a label has no folder.
    """
    here = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    wanted = list(dict.fromkeys(f"sub-{label.removeprefix('sub-')}" for label in labels))
    if unknown := [name for name in wanted if name not in here]:
        some = ", ".join(name.removeprefix("sub-") for name in here[:10]) + (", ..." if len(here) > 10 else "")
        raise UsageProblem(f"--participant-label: no folder {', '.join(unknown)} in {root}; there are {some}")
    return wanted or here


def table_of(out: Path, subject: str) -> Path:
    """Return the table of the registrations of one person."""
    return out / subject / f"{subject}_registrations.csv"
