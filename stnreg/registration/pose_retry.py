"""An affine of two images that were seen, and of a head that was taken for one that lies another way.

Each image is looked at alone, and where little of a head is in view the likeliest pose may be a wrong one. Another
image of the same head settles it: under the right pose the intensities of both correlate to the last voxel, under a
wrong one next to nothing does.
"""

from collections.abc import Callable
from itertools import islice

from stnreg.core.clock import Clock
from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import compose, invert, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import AnatomyModel, Encoding, encode_from, encode_poses
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.pose import distinct
from stnreg.registration.estimate import AffineEstimate, Pair
from stnreg.registration.quality import MAX_RESIDUAL_MM
from stnreg.registration.refine.region import Image

POSES = 16  # that are followed, of those that the first looks give
TRIED = 4  # and that are refined


def register_with_retry(
    images: tuple[Image, Image],
    seen: Pair,
    model: AnatomyModel,
    align: Callable[..., AffineEstimate],
    start: Matrix | None = None,
    *,
    clock: Clock | None = None,
) -> AffineEstimate:
    """Align what was seen of a pair; where that may have been from a wrong pose, look a second time.

    Parameters
    ----------
    images : tuple of (array, Grid)
        Fixed and moving, (z, y, x).
    seen : tuple of Encoding
        What was made of each.
    model : AnatomyModel
        What looked at them, and looks again.
    align : callable
        `stnreg.registration.estimate.align` of these images, as it was asked for.
    start : (4, 4) float64, optional
        A fixed_to_moving, LPS mm; no second look takes its place.
    clock : Clock, optional
        To time the stages with.

    Returns
    -------
    AffineEstimate
    """
    clock = clock or Clock()
    aligned = align(seen, start, clock=clock)
    if start is not None or not needs_pose_retry(aligned):
        return aligned
    with clock.stage("second look"):
        return retry_pose(images, seen, model, align) or aligned


def needs_pose_retry(aligned: AffineEstimate) -> bool:
    """Tell whether a pair was refined, is not believed, and may be so because of a wrong pose.

    Where the refinement found one head, or its mirror, it was not the pose.
    """
    refined = aligned.refined
    if refined is None or refined.same_person or refined.mirrored:
        return False
    return aligned.verdict.passed is False


def retry_pose(
    images: tuple[Image, Image], seen: Pair, model: AnatomyModel, align: Callable[[Pair, Matrix | None], AffineEstimate]
) -> AffineEstimate | None:
    """Look at the image that is less sure from every pose, and let the pair choose.

    Only one head in both images can choose with certainty; for two people, and where neither pose fits, there is no
    answer.

    Parameters
    ----------
    images : tuple of (array, Grid)
        Fixed and moving, (z, y, x).
    seen : tuple of Encoding
        What was made of them at first.
    model : AnatomyModel
    align : callable
        Fits, refines and judges a pair that was seen so, from a fixed_to_moving or, where that is None, from the fit.

    Returns
    -------
    AffineEstimate or None
        The better believed of the pose that leaves one head and of a closer look from where that puts it; None where
        no pose leaves one head.
    """
    doubtful = int(seen[1].pose_uncertainty > seen[0].pose_uncertainty)

    def paired(encoding: Encoding) -> Pair:
        return (seen[0], encoding) if doubtful else (encoding, seen[1])

    with one_blas_thread():
        candidates = [e for e in islice(encode_poses(*images[doubtful], model), POSES) if _is_a_head(e)]
    for encoding in _best_agreeing(candidates, paired)[:TRIED]:
        found = align(paired(encoding), None)
        if found.refined is not None and found.refined.same_person:
            closer = _encode_from_pair(images, seen, doubtful, found.fixed_to_moving, model)
            return max(found, align(paired(closer), found.fixed_to_moving), key=lambda k: k.verdict.score or 0.0)
    return None


def _is_a_head(encoding: Encoding) -> bool:
    return encoding.residual_mm <= MAX_RESIDUAL_MM


def _best_agreeing(candidates: list[Encoding], paired: Callable[[Encoding], Pair]) -> list[Encoding]:
    """Sort by how well the structures of both images agree once they are fitted; one of each pose."""

    def agreement(encoding: Encoding) -> float:
        pair = paired(encoding)
        return map_agreement(*pair, fit_pair(*pair))

    ranked = sorted(candidates, key=agreement, reverse=True)
    return list(distinct(ranked, lambda encoding: encoding.template_to_lps))


def _encode_from_pair(
    images: tuple[Image, Image], seen: Pair, doubtful: int, fixed_to_moving: Matrix, model: AnatomyModel
) -> Encoding:
    """Look at the doubtful image once more, from where the other image says that its head lies."""
    sure_to_doubtful = fixed_to_moving if doubtful else invert(fixed_to_moving)
    pose = nearest_dof(compose(sure_to_doubtful, seen[1 - doubtful].template_to_lps), (0, 0, 0), 7)
    return encode_from(*images[doubtful], pose, model)
