"""Retry rejected pairs with other candidate poses of one image.

Each image is encoded alone. In a small field of view the most likely pose may be wrong. If both images show the same
person, the intensities decide: they correlate under the right pose only.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice, takewhile

from stnreg.core.clock import NO_DEADLINE, Clock, Deadline
from stnreg.core.threads import one_blas_thread
from stnreg.errors import GeometryError
from stnreg.geometry.affine import compose, invert, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.affine import register_affine
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import encode_from, encode_poses
from stnreg.registration.anatomy.encoding import AnatomyModel, Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm, fit_pair
from stnreg.registration.anatomy.pose import brain_shift_mm, distinct
from stnreg.registration.findings import Encodings, Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.refine.coarse import coarse_correlation
from stnreg.registration.refine.region import Region

POSES = 7  # candidate poses that are encoded
TRIED = 2  # and of those, how many are refined
# Local correlation at the coarsest level, for a candidate to be followed: of a pose as it was found, and as the fine
# network corrects it. Of one head it is 0.6 and more, and 0.9 and more; of a wrong pose mostly below 0.4.
LEAST_COARSE, LEAST_CORRECTED = 0.5, 0.7


def register_with_retry(
    pair: ImagePair,
    encodings: Encodings,
    model: AnatomyModel,
    initial: Matrix | None,
    options: RegistrationOptions,
    clock: Clock | None = None,
    deadline: Deadline = NO_DEADLINE,
) -> Findings:
    """Register an encoded pair; if it is rejected and a pose may be wrong, try other poses.

    Parameters
    ----------
    pair : ImagePair
    encodings : tuple of Encoding
        Of fixed and moving.
    model : AnatomyModel
        The networks that encoded them.
    initial : (4, 4) float64 or None
        A fixed_to_moving, LPS mm, in place of the estimate. Then no other pose is tried.
    options : RegistrationOptions
    clock : Clock, optional
        To time the stages with.
    deadline : Deadline
        Once it is over no other pose is tried; a rejection then has that among its reasons.
    """
    clock = clock or Clock()
    found = register_affine(pair, encodings, initial, options, clock)
    if initial is None and needs_pose_retry(found) and not deadline.is_over:
        with clock.stage("second look"):  # its name in JSON
            found = retry_pose(pair, encodings, model, options, deadline) or found
    if found.verdict.passed is False and deadline.is_over:
        late = f"the time was up ({deadline.seconds:g} s), and other poses were not tried"
        return replace(found, verdict=replace(found.verdict, reasons=(*found.verdict.reasons, late)))
    return found


def needs_pose_retry(found: Findings) -> bool:
    """Return whether a pair was refined and rejected, and a wrong pose may be the reason.

    If the refinement found the same person, or a mirrored head, the pose was right. So it was if the structures of both
    images agree well enough to be accepted: under a wrong pose they do not. And so it was if both images show a whole
    brain, with its structures where a head has them: what looks so from a wrong pose is a part of a head. If no image
    has them there, another pose of one of the two does not help: they may be no heads.
    """
    refined, encodings = found.refined, found.encodings
    if refined is None or encodings is None or refined.same_person or refined.mirrored:
        return False
    if found.verdict.passed is not False:
        return False
    if not any(one.is_placed for one in encodings):
        return False
    limits = encodings[0].calibration
    if (found.verdict.score or 0.0) >= limits.min_score:
        return False
    is_whole = affine_standard_error_mm(*encodings) <= limits.whole_head_error_mm
    return not (is_whole and max(one.fit_residual_mm for one in encodings) <= limits.accept_mm)


def retry_pose(
    pair: ImagePair,
    encodings: Encodings,
    model: AnatomyModel,
    options: RegistrationOptions,
    deadline: Deadline = NO_DEADLINE,
) -> Findings | None:
    """Encode the image with the more uncertain pose from each of its candidate poses, and choose by refinement.

    A pose is chosen only if both images then show the same person.

    Returns
    -------
    Findings or None
        The first candidate that refines to the same person, or an encoding from its refined pose, whichever has the
        better score. None if there is no such candidate.
    """
    uncertain = int(encodings[1].pose_uncertainty > encodings[0].pose_uncertainty)
    same_pose_mm = model.pose.pose_calibration.same_pose_mm

    def paired(encoding: Encoding) -> Encodings:
        return (encodings[0], encoding) if uncertain else (encoding, encodings[1])

    def corrected(encoding: Encoding) -> Encoding:
        return encode_from(pair.means[uncertain], encoding.template_to_lps, model, passes=1)

    def is_worth_refining(encoding: Encoding) -> bool:
        shift_mm = brain_shift_mm(encoding.template_to_lps, encodings[uncertain].template_to_lps)
        is_new = shift_mm > same_pose_mm  # the pose that was rejected is among those of the search
        return is_new and _is_head(encoding) and _may_show_one_head(pair, paired(encoding), options.dof, LEAST_COARSE)

    with one_blas_thread():
        poses: Iterable[Encoding] = encodings[uncertain].alternatives  # if others were tried, these are they
        poses = poses or islice(encode_poses(pair.means[uncertain], model), POSES)
        candidates = list(filter(is_worth_refining, takewhile(lambda _: not deadline.is_over, poses)))
    best = _by_agreement(candidates, paired, same_pose_mm)[: TRIED + 1]
    with one_blas_thread():
        settled = [
            encode_from(pair.means[uncertain], one.template_to_lps, model)
            for one in best
            if _may_show_one_head(pair, paired(corrected(one)), options.dof, LEAST_CORRECTED)
        ]
    for encoding in _by_agreement(settled, paired, same_pose_mm)[:TRIED]:
        if deadline.is_over:
            break
        found = register_affine(pair, paired(encoding), None, options)
        if found.refined is not None and found.refined.same_person:
            closer = _encode_from_pair(pair, encodings, uncertain, found.affine, model)
            again = register_affine(pair, paired(closer), found.affine, options)
            return max(found, again, key=lambda one: one.verdict.score or 0.0)
    return None


def _is_head(encoding: Encoding) -> bool:
    return encoding.residual_mm <= encoding.calibration.max_residual_mm


def _may_show_one_head(pair: ImagePair, encodings: Encodings, dof: int, least: float) -> bool:
    """Return whether the intensities agree at all where a candidate pose puts them; if not, it is not refined.

    Where the structures of both images lie as in a head, the refinement compares contrasts by mutual information too,
    which this says nothing of.
    """
    if all(one.is_placed for one in encodings):
        return True
    fixed, moving = (
        (means, Region((one.brain, one.maps_grid), pair.masks.get(f"{side}_mask"), pair.masks.get(f"{side}_exclude")))
        for side, means, one in zip(("fixed", "moving"), pair.means, encodings, strict=True)
    )
    try:
        return coarse_correlation(fixed, moving, fit_pair(*encodings, rough=True), dof) >= least
    except GeometryError:  # too few structures in common for an affine
        return False


def _by_agreement(
    candidates: list[Encoding], paired: Callable[[Encoding], Encodings], same_pose_mm: float
) -> list[Encoding]:
    """Sort candidates by the agreement of the fitted structures, best first; keep one of each pose."""

    def agreement(encoding: Encoding) -> float:
        both = paired(encoding)
        return map_agreement(*both, fit_pair(*both, rough=True))

    ranked = sorted(candidates, key=agreement, reverse=True)
    return list(distinct(ranked, lambda encoding: encoding.template_to_lps, same_pose_mm))


def _encode_from_pair(
    pair: ImagePair, encodings: Encodings, uncertain: int, fixed_to_moving: Matrix, model: AnatomyModel
) -> Encoding:
    """Encode the uncertain image again, from the pose that the other image and the refined transform give."""
    certain_to_uncertain = fixed_to_moving if uncertain else invert(fixed_to_moving)
    pose = nearest_dof(compose(certain_to_uncertain, encodings[1 - uncertain].template_to_lps), (0, 0, 0), 7)
    return encode_from(pair.means[uncertain], pose, model)
