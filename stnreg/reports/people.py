"""Whether the scans of a study show the people that their names say: the visits of one person look alike.

A template cannot tell who is in a scan. But scans that were brought to one template can be compared with each other:
the folds of two visits of one person agree, and those of two people do not.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stnreg.reports.shown import Array, Shown, flattened

DETAIL_MM, SURROUND_MM = 1.6, 8.0
"""Standard deviations: the least detail, and the surroundings whose mean and contrast are taken out."""
LARGEST = 2.0
"""What is beyond it counts as this much, in units of the local contrast."""
ALIKE = 0.75
"""Least correlation of two scans of one person. See `python -m benchmarks.verdict.hints`."""
UNLIKE = (0.3, 0.65)
"""Correlations of two people in the same contrast. Below: another contrast, of which nothing is said."""
NAMED = re.compile(r"(?:^|[_/])(sub-[A-Za-z0-9]+)(?=_|/|$)")
"""The label of a person in a name, as BIDS has it."""


def folds(slices: Sequence[Shown]) -> Array:
    """Return the details of the moved brain in a preview, (pixels,): mean 0, length 1."""
    parts = [
        flattened(one.moved, one.brain, DETAIL_MM / one.spacing_mm, SURROUND_MM / one.spacing_mm)[one.brain][::2]
        for one in slices
    ]
    found = np.concatenate(parts).clip(-LARGEST, LARGEST)
    found -= found.mean()
    return (found / max(float(np.linalg.norm(found)), 1e-6)).astype(np.float32)


def person_of(name: str) -> str | None:
    """Return the label of the person in the name of a scan.

    Examples
    --------
    >>> person_of("sub-07_ses-2_T1w"), person_of("head_3")
    ('sub-07', None)
    """
    found = NAMED.search(name)
    return found[1] if found else None


def wrong_people(folds_of: Mapping[str, Array]) -> dict[str, str]:
    """Say of each scan whose name disagrees with the picture how it does.

    Parameters
    ----------
    folds_of : mapping
        By name; of scans on one fixed image. Names without a person are not compared.

    Returns
    -------
    reasons : dict
        By name, in the order of the names given.
    """
    names = [name for name in folds_of if person_of(name)]
    if len(names) < 2:
        return {}
    details = np.stack([folds_of[name] for name in names])
    alike = details @ details.T
    reasons = {}
    for k, name in enumerate(names):
        reason = _reason(k, names, alike)
        if reason:
            reasons[name] = reason
    return reasons


def _reason(k: int, names: Sequence[str], alike: NDArray[np.float32]) -> str:
    person = person_of(names[k])
    same = [j for j, other in enumerate(names) if j != k and person_of(other) == person]
    if any(alike[k, j] > UNLIKE[1] for j in same):
        same = []
    unlike = [j for j in same if alike[k, j] >= UNLIKE[0]]
    twins = [j for j, other in enumerate(names) if person_of(other) != person and alike[k, j] >= ALIKE]
    told = []
    if unlike:
        told.append(
            f"it does not look like the same person as {names[unlike[0]]} (correlation {alike[k, unlike[0]]:.2f})"
        )
    if twins:
        told.append(f"it looks like the same person as {names[twins[0]]} (correlation {alike[k, twins[0]]:.2f})")
    return "; ".join(told)
