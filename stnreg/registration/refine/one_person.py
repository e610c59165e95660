"""The last pass for two images of one person: no more degrees of freedom than they support, and full resolution."""

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import INDEPENDENT, Anchor, strain
from stnreg.registration.refine.gauss_newton import Outcome, Pass, minimize
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.pair_type import heads_agree, heads_have_one_contrast, is_noise_dominated
from stnreg.registration.refine.parallel import Side, on_both
from stnreg.registration.refine.pyramid import PyramidLevel, finest_levels, with_checkerboard_brain
from stnreg.registration.refine.region import BRAIN_SHARE, Region
from stnreg.registration.refine.samples import SampledImage, middle, take_samples

LAST = Pass(1.0, 40_000, 40, 0.003, newton=True)  # full resolution, to convergence: 2 to 5 steps, 39 for a tumour
COARSER_MM = 2.0  # if noise dominates there
FEW_SAMPLES = 10_000  # to choose the region and the spacing of the last pass
# Two scans of one head differ by a scale and a shear of less than this; a larger one is not questioned.
LARGEST_STRAIN = 0.06
SampledPair = tuple[SampledImage, SampledImage]
LevelPair = tuple[PyramidLevel, PyramidLevel]
Correlations = tuple[float, float]
"""Of local patches, with and without a map between the intensities."""


def supported(
    sampled: SampledPair, fixed_to_moving: Matrix, dof: int, linearized: Linearizations, p: Pass, pool: Executor | None
) -> Outcome | None:
    """Return the best rigid transform if the images do not support more; None if they do.

    A head keeps its size and shape, but its images do not show it everywhere alike: with more degrees of freedom,
    distortion, signal loss and a difference in contrast become scale and shear. Six more numbers have to be worth their
    price: the cost has to fall by as much as the Bayesian information criterion asks for.

    Parameters
    ----------
    sampled : pair of SampledImage
    fixed_to_moving : (4, 4) float64
        Of `dof` degrees of freedom, LPS mm.
    dof : int
    linearized : pair of Linearization
        At `fixed_to_moving`.
    p : Pass
    pool : Executor, optional
    """
    if dof == 6 or float(np.linalg.norm(strain(fixed_to_moving))) > LARGEST_STRAIN:
        return None
    rigid = run_pass(sampled, nearest_dof(fixed_to_moving, middle(*sampled, fixed_to_moving), 6), 6, p, pool)
    gain_nats = (total_cost(rigid.linearized, linearized) - total_cost(linearized, linearized)) * INDEPENDENT / 2
    return rigid if gain_nats < (dof - 6) * np.log(INDEPENDENT) / 2 else None


def refine_finest(
    sides: tuple[Side, Side], current: Matrix, dof: int, correlation_2mm: float, pool: Executor | None
) -> Outcome:
    """Refine a pair of one person at full resolution.

    If skull and scalp fit as well as the brain, they are sampled too, and the brain at half density: it may have
    shrunk since the other scan. They do not fit if one image is skull-stripped, and must have one contrast. If noise
    dominates the finest level, the 2 mm level is used.
    """

    def build(spacing_mm: float) -> tuple[LevelPair, LevelPair, Correlations, Correlations]:
        """Return the levels of both brains and of both heads, and the local correlations of each of the two."""

        def both_regions(image: ArrayOnGrid, region: Region) -> list[PyramidLevel]:
            return finest_levels(image, spacing_mm, (region, region.with_surroundings()))

        brains, heads = zip(*on_both(both_regions, sides, pool), strict=True)

        def correlations(levels: LevelPair) -> Correlations:
            few = sample_both(levels, FEW_SAMPLES)
            linearized = linearize_both(*few, current, middle(*few, current), pool)
            return mean_correlation(linearized), mean_raw_correlation(linearized)

        return brains, heads, correlations(brains), correlations(heads)

    brains, heads, brain, head = build(LAST.spacing_mm)
    if is_noise_dominated(brain[0], correlation_2mm):
        brains, heads, brain, head = build(COARSER_MM)
    if heads_agree(brain[0], head[0]) and heads_have_one_contrast(brain, head):
        first, second = map(with_checkerboard_brain, heads, (region for _, region in sides))
        brains = first, second
    return run_pass(sample_both(brains, LAST.samples), current, dof, LAST, pool)


def sample_both(levels: LevelPair, count: int, least_share: float = BRAIN_SHARE) -> SampledPair:
    """Sample both images of a level."""
    fixed, moving = (SampledImage(take_samples(level, count, least_share), level) for level in levels)
    return fixed, moving


def run_pass(
    sampled: SampledPair, start: Matrix, dof: int, p: Pass, pool: Executor | None, anchors: Sequence[Anchor] = ()
) -> Outcome:
    """Run `minimize` with the settings of a pass."""
    return minimize(
        *sampled,
        start,
        dof=dof,
        max_steps=p.max_steps,
        stop_mm=p.stop_mm,
        newton=p.newton,
        pool=pool,
        anchors=anchors,
    )
