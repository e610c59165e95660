"""Check for exchanged left and right: whether the mirrored moving image fits clearly better."""

from concurrent.futures import Executor
from dataclasses import dataclass

from stnreg.geometry.affine import compose, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.gauss_newton import Outcome, minimize
from stnreg.registration.refine.linearization import linearize_both, mean_correlation
from stnreg.registration.refine.pyramid import PyramidLevel
from stnreg.registration.refine.samples import SampledImage, middle, take_samples

SAMPLES = 10_000
MAX_STEPS, STOP_MM = 4, 0.3  # enough to align the midplane of the mirrored head
GAIN = 0.06  # about 0 between two people; mirroring one head costs twice this


@dataclass(frozen=True)
class MirrorCheck:
    """Result of registering the mirrored moving image.

    Parameters
    ----------
    gain : float
        Local correlation of the mirrored image minus that of the image. Above `GAIN` the mirror fits clearly better.
    unmirrored_restart : (4, 4) float64 or None
        A better fixed_to_moving of the image itself, LPS mm, if the search from its mirror found one. Heads are almost
        symmetric, so the mirror can leave a local minimum.
    """

    gain: float
    unmirrored_restart: Matrix | None


def check_mirror(
    levels: tuple[PyramidLevel, PyramidLevel],
    fixed_to_moving: Matrix,
    moving_mirror: Matrix,
    dof: int,
    pool: Executor | None = None,
) -> MirrorCheck:
    """Register the mirrored moving image, and compare its local correlation.

    Parameters
    ----------
    levels : tuple of PyramidLevel
        Both images at one coarse level.
    fixed_to_moving : (4, 4) float64
        The affine so far, LPS mm.
    moving_mirror : (4, 4) float64
        The reflection in the moving head's midplane, LPS mm.
    dof : int
        Degrees of freedom of the transform that was found. The mirrored one has as many: with more, it would fit
        better than a head that is only rotated.
    """
    fixed, moving = (SampledImage(take_samples(level, SAMPLES), level) for level in levels)

    def followed(start: Matrix) -> Outcome:
        return minimize(fixed, moving, start, dof=dof, max_steps=MAX_STEPS, stop_mm=STOP_MM, pool=pool)

    found = mean_correlation(linearize_both(fixed, moving, fixed_to_moving, fixed.samples.center, pool))
    mirrored = followed(compose(moving_mirror, fixed_to_moving))
    if not is_mirrored(mirrored.correlation - found):
        return MirrorCheck(mirrored.correlation - found, None)
    unmirrored = compose(moving_mirror, mirrored.fixed_to_moving)
    back = followed(nearest_dof(unmirrored, middle(fixed, moving, unmirrored), dof))
    if back.correlation <= found:
        return MirrorCheck(mirrored.correlation - found, None)
    return MirrorCheck(mirrored.correlation - back.correlation, back.fixed_to_moving)


def is_mirrored(gain: float) -> bool:
    """Return whether a gain exceeds what chance and the asymmetry of a head explain."""
    return gain > GAIN
