"""A pair that was rejected because one head was taken to lie another way: its other poses are tried.

Each image is encoded alone, and where little of a head is in view the likeliest pose may be a wrong one. Another image
of the same head settles it: under the right pose the intensities of both correlate to the last voxel, under a wrong one
next to nothing does.
"""

from collections.abc import Callable
from itertools import islice

from stnreg.core.clock import Clock
from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import compose, invert, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.affine import register_affine
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import AnatomyModel, Encoding, encode_from, encode_poses
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.pose import distinct
from stnreg.registration.findings import Encodings, Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair

POSES = 16  # that are encoded, of those that the pose network finds
TRIED = 4  # and that are refined


def register_with_retry(
    pair: ImagePair,
    encodings: Encodings,
    model: AnatomyModel,
    initial: Matrix | None,
    options: RegistrationOptions,
    clock: Clock | None = None,
) -> Findings:
    """Register a pair that was encoded; where it is rejected and a pose may be wrong, try others.

    Parameters
    ----------
    pair : ImagePair
    encodings : tuple of Encoding
        Of fixed and moving.
    model : AnatomyModel
        What encoded them, and encodes them again.
    initial : (4, 4) float64 or None
        A fixed_to_moving, LPS mm, in place of the estimate; then no other pose is tried.
    options : RegistrationOptions
    clock : Clock, optional
        To time the stages with.
    """
    clock = clock or Clock()
    found = register_affine(pair, encodings, initial, options, clock)
    if initial is not None or not needs_pose_retry(found):
        return found
    with clock.stage("second look"):  # its name in JSON
        return retry_pose(pair, encodings, model, options) or found


def needs_pose_retry(found: Findings) -> bool:
    """Tell whether a pair was refined and rejected, and a wrong pose may be why.

    Where the refinement found one head, or its mirror, it was not the pose.
    """
    refined = found.refined
    if refined is None or refined.same_person or refined.mirrored:
        return False
    return found.verdict.passed is False


def retry_pose(
    pair: ImagePair, encodings: Encodings, model: AnatomyModel, options: RegistrationOptions
) -> Findings | None:
    """Encode the image that is less sure from every pose, and let the pair choose.

    Only one head in both images can choose with certainty; for two people, and where no pose fits, there is no answer.

    Returns
    -------
    Findings or None
        The better score of the pose that leaves one head, and of an encoding from where that puts it; None where no
        pose leaves one head.
    """
    unsure = int(encodings[1].pose_uncertainty > encodings[0].pose_uncertainty)

    def paired(encoding: Encoding) -> Encodings:
        return (encodings[0], encoding) if unsure else (encoding, encodings[1])

    with one_blas_thread():
        poses = islice(encode_poses(*pair.images[unsure], model), POSES)
        candidates = [encoding for encoding in poses if _is_a_head(encoding)]
    same_pose_mm = model.pose.pose_calibration.same_pose_mm
    for encoding in _by_agreement(candidates, paired, same_pose_mm)[:TRIED]:
        found = register_affine(pair, paired(encoding), None, options)
        if found.refined is not None and found.refined.same_person:
            closer = _encode_from_pair(pair, encodings, unsure, found.affine, model)
            again = register_affine(pair, paired(closer), found.affine, options)
            return max(found, again, key=lambda one: one.verdict.score or 0.0)
    return None


def _is_a_head(encoding: Encoding) -> bool:
    return encoding.residual_mm <= encoding.calibration.max_residual_mm


def _by_agreement(
    candidates: list[Encoding], paired: Callable[[Encoding], Encodings], same_pose_mm: float
) -> list[Encoding]:
    """Sort by how well the structures of both images agree once they are fitted; one of each pose."""

    def agreement(encoding: Encoding) -> float:
        both = paired(encoding)
        return map_agreement(*both, fit_pair(*both))

    ranked = sorted(candidates, key=agreement, reverse=True)
    return list(distinct(ranked, lambda encoding: encoding.template_to_lps, same_pose_mm))


def _encode_from_pair(
    pair: ImagePair, encodings: Encodings, unsure: int, fixed_to_moving: Matrix, model: AnatomyModel
) -> Encoding:
    """Encode the unsure image once more, from where the other image says that its head lies."""
    sure_to_unsure = fixed_to_moving if unsure else invert(fixed_to_moving)
    pose = nearest_dof(compose(sure_to_unsure, encodings[1 - unsure].template_to_lps), (0, 0, 0), 7)
    return encode_from(*pair.images[unsure], pose, model)
