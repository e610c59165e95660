"""Whether a registration is to be believed, judged by the structures that the networks found in each image alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stnreg.registration.anatomy.agreement import common_share, map_agreement
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.anatomy.fit import PARTIAL_MM, affine_standard_error_mm

MIN_SCORE = 0.72
"""Least agreement that is believed; `benchmarks/verdict.py` prints what it separates on validation heads."""

MAX_RESIDUAL_MM = 9.0
"""Structures that lie further than this from where a head has them (root mean square) are not those of a head."""


MIN_COMMON_SHARE = 0.2
"""Least part of one brain that must be in view in the other image: a few structures can agree by chance."""

MIN_CORRELATION = 0.3
"""Least local correlation that refinement must find inside the brain; where there is none, nothing is left of it."""

MIN_PARTIAL_CORRELATION = 0.5
"""The same where part of a brain is out of view; two people who are well aligned leave 0.52 and more."""


@dataclass(frozen=True)
class Verdict:
    """What is thought of a registration.

    Attributes
    ----------
    passed : bool or None
        None where the network gives nothing to assess by.
    score : float or None
        Agreement of the images' own structures under the transform, 0 to 1.
    reasons : tuple of str
        Why it was not believed, in words.
    """

    passed: bool | None
    score: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefinementStats:
    """What refinement found inside the brain.

    Attributes
    ----------
    correlation : float
        Local correlation of the intensities, 0 to 1.
    same_person : bool
        One head: an affine fits it to the last voxel, so what is in view also fixes what is not.
    mirrored : bool
        Whether the mirror of one image fits clearly better.
    """

    correlation: float
    same_person: bool
    mirrored: bool


NOTHING_TO_JUDGE_BY = Verdict(None, None, ("a pair network gives nothing to assess its own result by",))


def assess(
    fixed: Encoding,
    moving: Encoding,
    fixed_to_moving: np.ndarray,
    min_score: float | None = None,
    *,
    inside: RefinementStats | None = None,
    fitted: bool = False,
) -> Verdict:
    """Judge a registration by the two images' own structures, and by what refinement found where there was one.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.
    min_score : float, optional
        In place of `MIN_SCORE`.
    inside : RefinementStats, optional
        What refinement found.
    fitted : bool
        Whether the transform is the affine that was fitted to the structures, as it is.
    """
    least = MIN_SCORE if min_score is None else min_score
    score = map_agreement(fixed, moving, fixed_to_moving)
    reasons = [*_structures(fixed, moving, fixed_to_moving, score, least)]
    if inside is not None:
        # A mirrored head is a head: its structures agree. Where they do not, which mirror fits better says nothing.
        reasons += _intensities(inside, affine_standard_error_mm(fixed, moving), structures_agree=not reasons)
    elif fitted and (reach := affine_standard_error_mm(fixed, moving)) > PARTIAL_MM:
        reasons.append(
            f"only part of the brain is in view, and its structures alone fix the rest to {reach:.1f} mm at the very "
            "best, where two whole heads give 0.9; refine, or ask for fewer degrees of freedom"
        )
    if np.linalg.det(fixed_to_moving[:3, :3]) <= 0:
        reasons.append("the transform exchanges left and right")
    return Verdict(not reasons, score, tuple(reasons))


def _structures(
    fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, score: float, least: float
) -> Iterator[str]:
    """Say what speaks against it in the structures."""
    if not score >= least:
        yield (
            f"the structures found in both images agree by {score:.2f} under the transform; {least:.2f} is the least "
            "that is believed"
        )
    share = common_share(fixed, moving, fixed_to_moving)
    if not share >= MIN_COMMON_SHARE:
        yield f"one image shows {100 * share:.0f} % of the brain that the other shows: too little to assess by"
    for name, encoding in (("fixed", fixed), ("moving", moving)):
        if not encoding.residual_mm <= MAX_RESIDUAL_MM:
            yield (
                f"what was found in the {name} image does not lie as in a head ({encoding.residual_mm:.0f} mm off): "
                "is it a brain, and is enough of it in view?"
            )


def _intensities(inside: RefinementStats, reach: float, *, structures_agree: bool) -> Iterator[str]:
    """Say what speaks against it in the intensities."""
    if inside.mirrored and structures_agree:
        yield (
            "the moving image's mirror fits clearly better: left and right were exchanged in one of the images' headers"
        )
    partial = reach > PARTIAL_MM and not inside.same_person
    least = MIN_PARTIAL_CORRELATION if partial else MIN_CORRELATION
    if not inside.correlation >= least:
        where = "what both images show of the brain" if partial else "the brain"
        yield (
            f"inside {where} the intensities correlate by {inside.correlation:.2f}; {least:.2f} is the least that is "
            "believed"
        )


def failure(verdict: Verdict) -> str:
    """Return the reasons against a registration in one line; nothing where it passed or was not judged."""
    return "; ".join(verdict.reasons) if verdict.passed is False else ""
