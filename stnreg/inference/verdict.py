"""Whether a registration is to be believed, judged by the structures that the networks found in each image alone."""

from dataclasses import dataclass

import numpy as np

from stnreg.inference.agreement import common_share, map_agreement
from stnreg.inference.anatomy import Encoding

MIN_SCORE = 0.72
"""Least agreement that is believed; `benchmarks/verdict.py` prints what it separates on validation heads."""

MAX_RESIDUAL_MM = 9.0
"""Structures that lie further than this from where a head has them (root mean square) are not those of a head."""


MIN_COMMON_SHARE = 0.2
"""Least part of one brain that must be in view in the other image: a few structures can agree by chance."""


@dataclass(frozen=True)
class Verdict:
    """What is thought of a registration.

    Attributes
    ----------
    passed : bool or None
        None where the network gives nothing to judge by.
    score : float or None
        Agreement of the images' own structures under the transform, 0 to 1.
    reasons : tuple of str
        Why it was not believed, in words.
    """

    passed: bool | None
    score: float | None
    reasons: tuple[str, ...] = ()


NOTHING_TO_JUDGE_BY = Verdict(None, None, ("a pair network gives nothing to judge its own result by",))


def judge(
    fixed: Encoding,
    moving: Encoding,
    fixed_to_moving: np.ndarray,
    min_score: float | None = None,
    *,
    mirrored: bool = False,
) -> Verdict:
    """Judge a registration by the two images' own structures.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.
    min_score : float, optional
        In place of `MIN_SCORE`.
    mirrored : bool
        Whether the mirror of one image was found to fit clearly better.
    """
    least = MIN_SCORE if min_score is None else min_score
    score = map_agreement(fixed, moving, fixed_to_moving)
    reasons = []
    if not score >= least:
        reasons.append(
            f"the structures found in both images agree by {score:.2f} under the transform; {least:.2f} is the least "
            "that is believed"
        )
    share = common_share(fixed, moving, fixed_to_moving)
    if not share >= MIN_COMMON_SHARE:
        reasons.append(f"one image shows {100 * share:.0f} % of the brain that the other shows: too little to judge by")
    for name, encoding in (("fixed", fixed), ("moving", moving)):
        if not encoding.residual_mm <= MAX_RESIDUAL_MM:
            reasons.append(
                f"what was found in the {name} image does not lie as in a head ({encoding.residual_mm:.0f} mm off): "
                "is it a brain, and is enough of it in view?"
            )
    if mirrored:
        reasons.append(
            "the moving image's mirror fits clearly better: left and right were exchanged in one of the images' headers"
        )
    if np.linalg.det(fixed_to_moving[:3, :3]) <= 0:
        reasons.append("the transform exchanges left and right")
    return Verdict(not reasons, score, tuple(reasons))


def failure(verdict: Verdict) -> str:
    """Return the reasons against a registration in one line; nothing where it passed or was not judged."""
    return "; ".join(verdict.reasons) if verdict.passed is False else ""
