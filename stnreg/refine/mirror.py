"""Would the mirror of one image fit better? Then left and right were exchanged on the way of one of them."""

from concurrent.futures import Executor

from stnreg.geometry.affine import compose
from stnreg.geometry.matrix import Matrix
from stnreg.refine.gauss_newton import descend
from stnreg.refine.pyramid import Level
from stnreg.refine.samples import Scene, take_samples
from stnreg.refine.views import both_views, mean_correlation

SAMPLES = 10_000
MAX_STEPS, STOP_MM = 4, 0.3  # enough to turn to the mirror's own midplane
GAIN = 0.06  # two people fit as well as each other's mirror; a head loses twice this by being mirrored


def mirror_gain(
    levels: tuple[Level, Level], fixed_to_moving: Matrix, moving_mirror: Matrix, pool: Executor | None = None
) -> float:
    """Return by how much the local correlation grows when the moving image is mirrored.

    Parameters
    ----------
    levels : tuple of Level
        Both images at one coarse level.
    fixed_to_moving : (4, 4) float64
        What was found, LPS mm.
    moving_mirror : (4, 4) float64
        The reflection in the moving head's midplane, LPS mm.

    Returns
    -------
    float
        Negative where the image fits as it is; above `GAIN` where its mirror fits clearly better.
    """
    fixed, moving = (Scene(take_samples(level, SAMPLES), level) for level in levels)
    mirrored = compose(moving_mirror, fixed_to_moving)
    outcome = descend(fixed, moving, mirrored, dof=12, max_steps=MAX_STEPS, stop_mm=STOP_MM, pool=pool)
    center = fixed.samples.center
    return outcome.correlation - mean_correlation(both_views(fixed, moving, fixed_to_moving, center, pool))


def fits_better_mirrored(gain: float) -> bool:
    """Tell whether a gain is more than chance and the asymmetry of a head account for."""
    return gain > GAIN
