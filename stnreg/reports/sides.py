"""Which scans of a study may have left and right exchanged: those whose asymmetry is opposite to that of the others.

Between two people nothing tells a head from its mirror image. But heads are not symmetric, and many of them that were
brought to one symmetric template share an asymmetry, of the brain and perhaps of the scanner. A scan in which left and
right are exchanged shows it with the opposite sign. The slices of the previews suffice to see it.
"""

from collections.abc import Sequence

import numpy as np

from stnreg.reports.shown import Array, Shown, correlation, flattened, is_symmetric

LEAST = 8
"""Scans with the same fixed image; fewer say nothing."""
OPPOSITE = -0.05
"""What is below it is taken for exchanged: a correlation that noise alone rarely reaches."""
DETAIL_MM, SURROUND_MM = 3.2, 16.0
"""Standard deviations: the least detail, and the surroundings whose mean and contrast are taken out."""
LARGEST = 1.5
"""Differences beyond it count as this much, in units of the local contrast: a lesion must not speak for a head."""
SHARED = 0.05
"""Least median of the correlations: below it the scans share no asymmetry."""

EXCHANGED = (
    "left and right may be exchanged in the file: what differs between the sides is opposite to that of the other scans"
)


def compare(differences: Sequence[Array | None], votes: Sequence[bool]) -> list[float | None]:
    """Compare the asymmetry of each scan with that of the others on the same fixed image.

    Parameters
    ----------
    differences : sequence of (pixels,) float32
        See `difference`; None for all where the fixed image is not symmetric.
    votes : sequence of bool
        Whether a scan is one of the others that it is compared with.

    Returns
    -------
    sides : list of float or None
        Correlation of the difference between left and right with the sum of those of the others, -1 to 1: below
        `OPPOSITE` left and right may be exchanged. None where there is nothing to compare: fewer than `LEAST` others,
        no asymmetry that they share, or a fixed image that is not symmetric about the plane x = 0.
    """
    known = [one for one in differences if one is not None]
    nothing: list[float | None] = [None] * len(differences)
    if len(known) < len(differences) or sum(votes) <= LEAST:
        return nothing
    voting = np.array(votes)
    total = np.sum([one for one, has_vote in zip(known, votes, strict=True) if has_vote], axis=0)
    values = [correlation(own, total - has_vote * own) for own, has_vote in zip(known, voting, strict=True)]
    return [*values] if np.median(np.array(values)[voting]) >= SHARED else nothing


def difference(slices: Sequence[Shown]) -> Array | None:
    """Return left less right over the coronal and axial slices of a preview, (pixels,), in units of local contrast.

    None if the fixed image is not symmetric.
    """
    if not is_symmetric(slices):
        return None
    found = []
    for one in slices:
        if one.both.any():
            plain = flattened(one.moved, one.both, DETAIL_MM / one.spacing_mm, SURROUND_MM / one.spacing_mm)
            found.append((plain - plain[:, one.other])[one.half].clip(-LARGEST, LARGEST))
    return np.concatenate(found)
