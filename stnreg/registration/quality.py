"""Quality assessment: whether a registration is accepted, by the structures in both images and their intensities."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.agreement import common_share, map_agreement
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm


@dataclass(frozen=True)
class Verdict:
    """The assessment of a registration: accepted, rejected, or not assessed.

    Attributes
    ----------
    passed : bool or None
        Whether it is accepted; None if not assessed (pair networks).
    score : float or None
        Agreement of the structures of both images under the transform, 0 to 1.
    reasons : tuple of str
        Why it was rejected.
    """

    passed: bool | None
    score: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefinementStats:
    """Results of the refinement inside the brain.

    Attributes
    ----------
    correlation : float
        Local correlation of the intensities, 0 to 1.
    same_person : bool
        Whether both images show the same person. Then the affine is determined outside the overlap too.
    mirrored : bool
        Whether the mirrored moving image fits clearly better.
    """

    correlation: float
    same_person: bool
    mirrored: bool


NOT_ASSESSED = Verdict(None, None, ("a pair network gives nothing to assess its result by",))


def assess(
    fixed: Encoding,
    moving: Encoding,
    fixed_to_moving: np.ndarray,
    min_score: float | None = None,
    *,
    refinement: RefinementStats | None = None,
    estimated: bool = False,
) -> Verdict:
    """Assess a registration by the structures of both images and, after refinement, by the intensities.

    The thresholds are those of the network that encoded the fixed image (`Encoding.calibration`).

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.
    min_score : float, optional
        In place of the calibrated `min_score`.
    refinement : RefinementStats, optional
        Results of the refinement.
    estimated : bool
        Whether the transform is the unrefined affine that was estimated from the structures.
    """
    limits = fixed.calibration
    score = map_agreement(fixed, moving, fixed_to_moving)
    least = limits.min_score if min_score is None else min_score
    reasons = [*_structures(fixed, moving, fixed_to_moving, score, least)]
    if refinement is not None:
        error_mm = affine_standard_error_mm(fixed, moving)
        # The structures of a mirrored head agree. If they do not, the gain of the mirror means nothing.
        reasons += _intensities(refinement, error_mm, limits, structures_agree=not reasons)
    elif estimated and (error_mm := affine_standard_error_mm(fixed, moving)) > limits.whole_head_error_mm:
        reasons.append(
            f"only part of the brain is in view, and its structures alone determine the rest to {error_mm:.1f} mm at "
            "best, where two whole heads give 0.9 mm; refine, or use fewer degrees of freedom"
        )
    if np.linalg.det(fixed_to_moving[:3, :3]) <= 0:
        reasons.append("the transform exchanges left and right")
    return Verdict(not reasons, score, tuple(reasons))


def _structures(
    fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, score: float, least: float
) -> Iterator[str]:
    """Yield reasons to reject by the structures."""
    limits = fixed.calibration
    if not score >= least:
        yield (
            f"the structures found in both images agree by {score:.2f} under the transform; {least:.2f} is the least "
            "that is accepted"
        )
    share = common_share(fixed, moving, fixed_to_moving)
    if not share >= limits.min_common_share:
        yield f"one image shows {100 * share:.0f} % of the brain that the other shows: too little to assess"
    for name, encoding in (("fixed", fixed), ("moving", moving)):
        if not encoding.residual_mm <= encoding.calibration.max_residual_mm:
            yield (
                f"what was found in the {name} image does not lie as in a head ({encoding.residual_mm:.0f} mm off): "
                "is it a brain, and is enough of it in view?"
            )


def _intensities(
    refinement: RefinementStats, error_mm: float, limits: Calibration, *, structures_agree: bool
) -> Iterator[str]:
    """Yield reasons to reject by the intensities."""
    if refinement.mirrored and structures_agree:
        yield (
            "the moving image's mirror fits clearly better: left and right were exchanged in one of the images' headers"
        )
    partial = error_mm > limits.whole_head_error_mm and not refinement.same_person
    least = limits.min_partial_correlation if partial else limits.min_correlation
    if not refinement.correlation >= least:
        where = "what both images show of the brain" if partial else "the brain"
        yield (
            f"inside {where} the intensities correlate by {refinement.correlation:.2f}; {least:.2f} is the least that "
            "is accepted"
        )


def failure(verdict: Verdict) -> str:
    """Return the reasons for a rejection in one line; empty if accepted or not assessed."""
    return "; ".join(verdict.reasons) if verdict.passed is False else ""
