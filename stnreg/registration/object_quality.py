"""Quality assessment of a pair network's registrations, by the intensities of both objects."""

from collections.abc import Iterator

from stnreg.models.calibration import PairCalibration
from stnreg.registration.quality import Verdict, told_apart
from stnreg.registration.refine.refined import Refined

NOT_REFINED = Verdict(None, None, ("the estimate of a pair network is assessed after refinement only",))
NOT_CALIBRATED = "this network has no calibration; measure one with `stnreg calibrate`"


def assess_objects(refined: Refined, limits: PairCalibration | None, min_score: float | None = None) -> Verdict:
    """Assess a refined registration of two objects.

    The score is the local correlation of the intensities inside both objects, 0 to 1.

    Parameters
    ----------
    refined : Refined
        From `refine_objects`.
    limits : PairCalibration or None
        Of the network that gave the estimate. Without one, and without `min_score`, nothing is assessed.
    min_score : float, optional
        In place of the calibrated one.
    """
    score = float(refined.local_correlation)
    if limits is None:
        if min_score is None:
            return Verdict(None, score, (NOT_CALIBRATED,))
        limits = PairCalibration(min_correlation=min_score, min_overlap=0.0, max_there_and_back_mm=float("inf"))
    least = limits.min_correlation if min_score is None else min_score
    reasons = tuple(_reasons(refined, limits, score, least))
    return Verdict(not reasons, score, reasons)


def _reasons(refined: Refined, limits: PairCalibration, score: float, least: float) -> Iterator[str]:
    if not score >= least:
        found, bound = told_apart(score, least)
        yield (
            f"the score, the local correlation of the intensities inside both objects, is {found}; at least {bound} is "
            "accepted"
        )
    if not refined.overlap >= limits.min_overlap:
        found, bound = told_apart(100 * refined.overlap, 100 * limits.min_overlap, digits=0)
        yield f"{found} % of one object lies inside the other image; at least {bound} % is accepted"
    apart_mm = refined.there_and_back_mm
    if apart_mm is not None and not refined.same_person and not apart_mm <= limits.max_there_and_back_mm:
        found, bound = told_apart(apart_mm, limits.max_there_and_back_mm, digits=1)
        yield (
            f"the estimate and the one for the images exchanged are {found} mm apart after refinement; at most {bound} "
            "mm is accepted"
        )
