"""Would the mirror of one image fit better? Then left and right were exchanged on the way of one of them."""

from concurrent.futures import Executor
from dataclasses import dataclass

from stnreg.geometry.affine import compose, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.gauss_newton import Outcome, descend
from stnreg.registration.refine.linearization import linearize_both, mean_correlation
from stnreg.registration.refine.pyramid import Level
from stnreg.registration.refine.samples import Scene, middle, take_samples

SAMPLES = 10_000
MAX_STEPS, STOP_MM = 4, 0.3  # enough to turn to the mirror's own midplane
GAIN = 0.06  # two people fit as well as each other's mirror; a head loses twice this by being mirrored


@dataclass(frozen=True)
class MirrorTest:
    """What came of mirroring the moving image.

    Parameters
    ----------
    gain : float
        By how much the local correlation grows: negative where the image fits as it is, above `GAIN` where its mirror
        fits clearly better.
    unmirrored_restart : (4, 4) float64 or None
        Where the image fits clearly better than where it was, unmirrored: heads are almost symmetric, and a mirror
        that steps out of a wrong place shows the head itself the way.
    """

    gain: float
    unmirrored_restart: Matrix | None


def try_mirrored(
    levels: tuple[Level, Level], fixed_to_moving: Matrix, moving_mirror: Matrix, dof: int, pool: Executor | None = None
) -> MirrorTest:
    """Mirror the moving image and see whether it fits better.

    Parameters
    ----------
    levels : tuple of Level
        Both images at one coarse level.
    fixed_to_moving : (4, 4) float64
        What was found, LPS mm.
    moving_mirror : (4, 4) float64
        The reflection in the moving head's midplane, LPS mm.
    dof : int
        Of the transform that was found: the mirror may do no more than that, or a mirror that is stretched would fit
        better than a head that is only turned.
    """
    fixed, moving = (Scene(take_samples(level, SAMPLES), level) for level in levels)

    def followed(start: Matrix) -> Outcome:
        return descend(fixed, moving, start, dof=dof, max_steps=MAX_STEPS, stop_mm=STOP_MM, pool=pool)

    found = mean_correlation(linearize_both(fixed, moving, fixed_to_moving, fixed.samples.center, pool))
    mirrored = followed(compose(moving_mirror, fixed_to_moving))
    if not fits_better_mirrored(mirrored.correlation - found):
        return MirrorTest(mirrored.correlation - found, None)
    unmirrored = compose(moving_mirror, mirrored.fixed_to_moving)
    back = followed(nearest_dof(unmirrored, middle(fixed, moving, unmirrored), dof))
    if back.correlation <= found:
        return MirrorTest(mirrored.correlation - found, None)
    return MirrorTest(mirrored.correlation - back.correlation, back.fixed_to_moving)


def fits_better_mirrored(gain: float) -> bool:
    """Tell whether a gain is more than chance and the asymmetry of a head account for."""
    return gain > GAIN
