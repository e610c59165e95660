"""From what was seen of two images to an affine between them: fitted, refined, judged."""

from collections.abc import Mapping
from dataclasses import dataclass

from stnreg.core.clock import Clock
from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.quality import RefinementStats, Verdict, assess
from stnreg.registration.refine.refinement import Refined, refine_affine
from stnreg.registration.refine.region import Image

Pair = tuple[Encoding, Encoding]


@dataclass(frozen=True)
class AffineEstimate:
    """What was seen of a pair, what came of it, and what is thought of that.

    Parameters
    ----------
    seen : tuple of Encoding
        Of fixed and moving.
    fixed_to_moving : (4, 4) float64
        LPS mm.
    refined : Refined or None
        None where it was not refined.
    verdict : Verdict
    """

    seen: Pair
    fixed_to_moving: Matrix
    refined: Refined | None
    verdict: Verdict


def align(
    images: tuple[Image, Image],
    seen: Pair,
    start: Matrix | None = None,
    *,
    dof: int = 12,
    refine: bool = True,
    masks: Mapping[str, Image] | None = None,
    min_score: float | None = None,
    threads: int = 2,
    clock: Clock | None = None,
) -> AffineEstimate:
    """Fit what was seen of a pair, or take a start; refine it; assess it.

    Parameters
    ----------
    images : tuple of (array, Grid)
        Fixed and moving, (z, y, x).
    seen : tuple of Encoding
        What was made of each.
    start : (4, 4) float64, optional
        A fixed_to_moving, LPS mm, instead of the fit.
    dof : int
        6, 7, 9 or 12.
    refine : bool
        Whether the intensities inside both brains have the last word.
    masks : mapping, optional
        Keyword arguments of `refine_affine` that say where it looks.
    min_score : float, optional
        Least score that passes the verdict; the calibrated one when left out.
    threads : int
    clock : Clock, optional
        To time the stages with.

    Returns
    -------
    AffineEstimate

    Raises
    ------
    DataError
        If an array is not on its grid.
    """
    clock = clock or Clock()
    with clock.stage("fit"):
        fixed_to_moving = fit_pair(*seen, dof=dof) if start is None else start
        if start is not None or dof == 9:  # scales along the axes of a grid that the fit knows nothing of
            fixed_to_moving = nearest_dof(fixed_to_moving, images[0][1].center_lps, dof)
    refined = None
    if refine:
        with clock.stage("refine"):
            refined = refine_affine(
                *images,
                fixed_to_moving,
                fixed_brain=(seen[0].brain, seen[0].maps_grid),
                moving_brain=(seen[1].brain, seen[1].maps_grid),
                moving_mirror=seen[1].mirror,
                **(masks or {}),
                dof=dof,
                threads=threads,
            )
        fixed_to_moving = refined.fixed_to_moving
    with clock.stage("verdict"):
        fitted = start is None and dof >= 9
        verdict = assess(*seen, fixed_to_moving, min_score, inside=refinement_stats(refined), fitted=fitted)
    return AffineEstimate(seen, fixed_to_moving, refined, verdict)


def refinement_stats(refined: Refined | None) -> RefinementStats | None:
    """Return what a refinement tells the verdict; None where there was none."""
    return RefinementStats(refined.local_correlation, refined.same_person, refined.mirrored) if refined else None
