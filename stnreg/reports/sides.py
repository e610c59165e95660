"""Which scans of a study may have left and right exchanged: those whose asymmetry is opposite to that of the others.

Between two people nothing tells a head from its mirror image. But heads are not symmetric, and many of them that were
brought to one symmetric template share an asymmetry, of the brain and perhaps of the scanner. A scan in which left and
right are exchanged shows it with the opposite sign. The slices of the previews suffice to see it.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.reports.outlines import BRAIN

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
SYMMETRIC = 0.9
"""Least correlation of the fixed image with its own mirror image."""

EXCHANGED = (
    "left and right may be exchanged in the file: what differs between the sides is opposite to that of the other scans"
)

Array = NDArray[np.float32]


def sides_of(previews: Sequence[Mapping[str, Any] | None], votes: Sequence[bool]) -> list[float | None]:
    """Compare the asymmetry of each scan with that of the others on the same fixed image.

    Parameters
    ----------
    previews : sequence of mapping or None
        See `stnreg.reports.tiles.describe_tiles`; None for a scan without one.
    votes : sequence of bool
        Whether a scan is one of the others that it is compared with.

    Returns
    -------
    sides : list of float or None
        Correlation of the difference between left and right with the sum of those of the others, -1 to 1: below
        `OPPOSITE` left and right may be exchanged. None where there is nothing to compare: fewer than `LEAST` others,
        no asymmetry that they share, or a fixed image that is not symmetric about the plane x = 0.
    """
    groups: dict[str, list[int]] = {}
    for k, preview in enumerate(previews):
        if preview is not None:
            groups.setdefault(preview["fixed"], []).append(k)
    found: list[float | None] = [None] * len(previews)
    for members in groups.values():
        if sum(votes[k] for k in members) <= LEAST:
            continue
        differences = [difference(previews[k] or {}) for k in members]
        for k, value in zip(members, compare(differences, [votes[k] for k in members]), strict=True):
            found[k] = value
    return found


def compare(differences: Sequence[Array | None], votes: Sequence[bool]) -> list[float | None]:
    """Compare differences between left and right, of scans on one fixed image, as `sides_of` does.

    Parameters
    ----------
    differences : sequence of (pixels,) float32
        See `difference`; None for all where the fixed image is not symmetric.
    votes : sequence of bool
    """
    known = [one for one in differences if one is not None]
    nothing: list[float | None] = [None] * len(differences)
    if len(known) < len(differences) or sum(votes) <= LEAST:
        return nothing
    voting = np.array(votes)
    total = np.sum([one for one, has_vote in zip(known, votes, strict=True) if has_vote], axis=0)
    values = [_correlation(own, total - has_vote * own) for own, has_vote in zip(known, voting, strict=True)]
    return [*values] if np.median(np.array(values)[voting]) >= SHARED else nothing


def difference(preview: Mapping[str, Any]) -> Array | None:
    """Return left less right over the coronal and axial slices of a preview, (pixels,), in units of local contrast.

    None if the fixed image is not symmetric.
    """
    from scipy.ndimage import gaussian_filter

    spacing = float(preview["spacing_mm"])
    detail, surround = DETAIL_MM / spacing, SURROUND_MM / spacing
    found, fixed_pairs = [], []
    for place, fixed, moved, codes in _slices(preview):
        if place["plane"] == 0:
            continue
        columns = np.arange(fixed.shape[1])
        other = round(-2 * place["origin"][0] / spacing) - columns  # the mirror image of each column about x = 0
        is_in = (other >= 0) & (other < len(columns))
        other = other.clip(0, len(columns) - 1)
        brain = codes >= BRAIN
        mask = brain & brain[:, other] & is_in
        weight = gaussian_filter(mask.astype(np.float32), surround) + 1e-3
        offset = (moved - gaussian_filter(moved * mask, surround) / weight) * mask
        contrast = np.sqrt(gaussian_filter(offset**2, surround) / weight) + 1
        plain = gaussian_filter(offset / contrast, detail)
        half = mask & (columns < other)
        found.append((plain - plain[:, other])[half].clip(-LARGEST, LARGEST))
        fixed_pairs.append((fixed[half], fixed[:, other][half]))
    if not found or sum(len(one) for one in found) < 100:
        return None
    left, right = (np.concatenate(side) for side in zip(*fixed_pairs, strict=True))
    return np.concatenate(found) if _correlation(left, right) >= SYMMETRIC else None


def _slices(preview: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], Array, Array, Array]]:
    """Yield each slice of a preview: its place, fixed and moved image, and the codes of the fixed one."""
    fixed, moved, codes = (_pixels(preview[name]) for name in ("fixed", "moved", "fixed_codes"))
    top = 0
    for place in preview["slices"]:
        width, height = place["size"]
        part = slice(top, top + height), slice(0, width)
        yield place, fixed[part], moved[part], codes[part] // 16
        top += height


def _pixels(address: str) -> Array:
    """Return the grey values of a picture in a data address, (rows, columns)."""
    from PIL import Image

    data = base64.b64decode(address.partition(",")[2].partition("#")[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a**2).sum() * (b**2).sum())), 1e-9))
