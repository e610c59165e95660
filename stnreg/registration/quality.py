"""Quality assessment: whether a registration is accepted, by the structures in both images and their intensities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.agreement import common_share, map_agreement
from stnreg.registration.anatomy.completion import completed
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm, distance_from_structures_mm, fit_pair
from stnreg.registration.refine.pair_type import is_nearly_same_person

# One person, told by a local correlation this high, can be assessed by half the share of the brain: in a wrong place
# two images correlate by at most 0.66.
CLEAR_CORRELATION, CLEAR_SHARE = 0.8, 0.5
NEAR_STRUCTURES_MM = 5.0  # see `_is_told`
LEAST_CORRELATION, CLEAR_OF_SKULLS = 0.2, 0.4
"""Local correlation of two people's whole heads: below the first nothing speaks for a transform; up to the second, both
images must show their structures, as skulls without a brain correlate too."""
EXPLAINED = 0.15
"""Least share of the contrast of an image that its structures explain, for it to show them: between those of heads
whose brain is dark, even or noise, and those of heads in any contrast, as `python -m benchmarks.verdict.explained`
prints them. What has a contrast of its own in place of a brain is left to the agreement of the structures."""


@dataclass(frozen=True)
class Verdict:
    """The assessment of a registration: accepted, rejected, or not assessed.

    Attributes
    ----------
    passed : bool or None
        Whether it is accepted; None if not assessed: the bare estimate of a pair network.
    score : float or None
        Agreement of the structures of both images under the transform, 0 to 1; size and shape that its degrees of
        freedom leave do not count (`agreement_beyond_shape`).
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
    explained : callable, optional
        Returns the share of the contrast of either image that its own structures explain (`explained_contrast`), 0 to
        1. It is asked only about two people who correlate by less than `CLEAR_OF_SKULLS` and whose structures agree.
    """

    correlation: float
    same_person: bool
    mirrored: bool
    explained: Callable[[], tuple[float, float]] | None = None


def assess(
    fixed: Encoding,
    moving: Encoding,
    fixed_to_moving: np.ndarray,
    min_score: float | None = None,
    *,
    dof: int = 12,
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
    dof : int
        Degrees of freedom that were asked for: 6, 7, 9 or 12.
    refinement : RefinementStats, optional
        Results of the refinement.
    estimated : bool
        Whether the transform is the unrefined affine that was estimated from the structures.
    """
    if missing := [name for name, one in (("fixed", fixed), ("moving", moving)) if not one.has_head]:
        where = " and in the ".join(missing)
        return Verdict(False, 0.0, (f"no head was found in the {where} image; for other objects use --model separate",))
    limits = fixed.calibration
    score, compared = agreement_beyond_shape(fixed, moving, fixed_to_moving, dof)
    one_person = refinement is not None and refinement.same_person
    is_told = refinement is not None and _is_told(fixed, moving, fixed_to_moving, refinement)
    least = min(limits.min_score, limits.min_one_person_score) if is_told else limits.min_score
    is_clear = is_told and refinement is not None and refinement.correlation >= CLEAR_CORRELATION
    least_share = limits.min_common_share * (CLEAR_SHARE if is_clear else 1.0)
    reasons = [*_structures(fixed, moving, compared, score, least if min_score is None else min_score, least_share)]
    if not one_person:
        reasons += _shape(fixed, moving, fixed_to_moving, dof)
    if refinement is not None:
        error_mm = affine_standard_error_mm(fixed, moving)
        # The structures of a mirrored head agree. If they do not, the gain of the mirror means nothing.
        reasons += _intensities(refinement, error_mm, limits, dof, structures_agree=not reasons)
    elif estimated and (error_mm := affine_standard_error_mm(fixed, moving)) > limits.whole_head_error_mm:
        found, bound = told_apart(error_mm, limits.whole_head_error_mm, digits=1)
        reasons.append(
            f"only part of the brain is in the field of view, and its structures determine the rest to {found} mm at "
            f"best (two whole heads: 0.9 mm; at most {bound} mm is accepted); refine, or use fewer degrees of freedom"
        )
    if np.linalg.det(fixed_to_moving[:3, :3]) <= 0:
        reasons.append("the transform swaps left and right (negative determinant)")
    return Verdict(not reasons, score, tuple(reasons))


def _is_told(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, refinement: RefinementStats) -> bool:
    """Return whether the intensities show that the transform is right, so that the structures may agree less.

    Two images of one phantom, or of one animal, correlate as well: both must show what is placed as in a head. Across
    contrasts or resolutions, where local correlation is low, that they show one person says little of the place: it
    must be near that of the structures then.
    """
    if not (refinement.same_person and fixed.is_placed and moving.is_placed):
        return False
    if is_nearly_same_person(refinement.correlation):
        return True
    return distance_from_structures_mm(fixed, moving, fixed_to_moving) <= NEAR_STRUCTURES_MM


def agreement_beyond_shape(
    fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, dof: int
) -> tuple[float, np.ndarray]:
    """Return how well the structures agree but for size and shape that `dof` degrees of freedom leave between heads.

    The better of two: the transform as it is, and with the size and shape that the structures add to it. As it is
    counts where one head was scanned twice, or little of one is in view: no difference is nearer to the truth then than
    what the structures say of it.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.
    dof : int
        6, 7, 9 or 12: with 12 it is the agreement under the transform.

    Returns
    -------
    agreement : float
        0 to 1.
    fixed_to_moving : (4, 4) float64
        Under which it was found, LPS mm.
    """
    score = map_agreement(fixed, moving, fixed_to_moving)
    if dof == 12:
        return score, fixed_to_moving
    whole = completed(fixed, moving, fixed_to_moving, dof)
    return max((score, fixed_to_moving), (map_agreement(fixed, moving, whole), whole), key=lambda one: one[0])


def _structures(
    fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, score: float, least: float, least_share: float
) -> Iterator[str]:
    """Yield reasons to reject by the structures: a score below `least`, or a common share below `least_share`."""
    if not score >= least:
        found, bound = told_apart(score, least)
        yield (
            f"the score, the agreement of the structures found in both images, is {found}; at least {bound} is accepted"
        )
    share = common_share(fixed, moving, fixed_to_moving)
    if not share >= least_share:
        found, bound = told_apart(100 * share, 100 * least_share, digits=0)
        yield (
            f"one image shows {found} % of the brain that the other shows, too little to assess; at least {bound} % is "
            "accepted"
        )
    for name, encoding in (("fixed", fixed), ("moving", moving)):
        if not encoding.residual_mm <= encoding.calibration.max_residual_mm:
            found, bound = told_apart(encoding.residual_mm, encoding.calibration.max_residual_mm, digits=0)
            yield (
                f"the structures found in the {name} image are not placed as in a head ({found} mm off; at most "
                f"{bound} mm is accepted): is it a brain, and is enough of it in the field of view?"
            )


def _shape(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray, dof: int) -> Iterator[str]:
    """Yield a reason to reject if one head would have to be stretched into the other as no two people's are."""
    affine = fixed_to_moving if dof == 12 else fit_pair(fixed, moving)
    scales = np.linalg.svd(affine[:3, :3], compute_uv=False)
    stretch, limits = float(scales[0] / max(scales[-1], 1e-6)), fixed.calibration
    if not stretch <= limits.max_stretch:
        found, bound = told_apart(stretch, limits.max_stretch)
        yield (
            f"one head would be stretched {found} times as much along one axis as along another to become the other; "
            f"two people's heads differ by at most {bound}: is each a human head?"
        )


def _intensities(
    refinement: RefinementStats, error_mm: float, limits: Calibration, dof: int, *, structures_agree: bool
) -> Iterator[str]:
    """Yield reasons to reject by the intensities.

    Two whole heads correlate little in two contrasts, or with few degrees of freedom if their shapes differ. Their
    structures decide then, if both images show them: a skull without a brain is given structures too.
    """
    if refinement.mirrored and structures_agree:
        yield (
            "the moving image fits clearly better when mirrored: left and right are swapped in one of the two headers"
        )
    partial = error_mm > limits.whole_head_error_mm and not refinement.same_person
    least = limits.min_partial_correlation if partial else limits.min_correlation
    two_whole = structures_agree and not partial and not refinement.same_person
    if two_whole and refinement.explained is not None and not refinement.correlation >= CLEAR_OF_SKULLS:
        least = LEAST_CORRELATION if dof == 12 else 0.0
        for name, share in zip(("fixed", "moving"), refinement.explained(), strict=True):
            if not share >= EXPLAINED:
                yield f"the {name} image does not show the structures that were found in it: does it show a brain?"
    if not refinement.correlation >= least:
        where = "the part of the brain that both images show" if partial else "the brain"
        found, bound = told_apart(refinement.correlation, least)
        yield f"the local correlation of the intensities inside {where} is {found}; at least {bound} is accepted"


def told_apart(value: float, bound: float, digits: int = 2) -> tuple[str, str]:
    """Format a number and the bound that it misses, with as many decimals as it takes to see that they differ.

    Parameters
    ----------
    value, bound : float
        In one unit.
    digits : int
        Decimals, where those suffice.

    Examples
    --------
    >>> told_apart(0.61, 0.72), told_apart(0.7195, 0.72)
    (('0.61', '0.72'), ('0.7195', '0.7200'))
    """
    for more in range(digits, 17):
        found, least = f"{value:.{more}f}", f"{bound:.{more}f}"
        if found != least:
            return found, least
    return repr(value), repr(bound)


def failure(verdict: Verdict) -> str:
    """Return the reasons for a rejection in one line; empty if accepted or not assessed."""
    return "; ".join(verdict.reasons) if verdict.passed is False else ""
