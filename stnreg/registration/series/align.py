"""Align each visit to the average of the others, at full resolution."""

from dataclasses import dataclass

from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.linearization import linearize_both, mean_correlation
from stnreg.registration.refine.pair_type import heads_agree, is_noise_dominated
from stnreg.registration.refine.pyramid import PyramidLevel, finest_levels, with_checkerboard_brain
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, middle, take_samples
from stnreg.registration.series.scale_error import ScaleError, scale_error
from stnreg.registration.series.skull import SkullScale, skull_scale, without_brain

SPACING_MM, COARSE_MM = 1.0, 2.0
SAMPLES, FEW_SAMPLES, SKULL_SAMPLES = 60_000, 10_000, 150_000
MAX_STEPS, STOP_MM = 6, 0.002


@dataclass(frozen=True)
class Prepared:
    """An image as it is aligned: levels and samples, of the brain and of the head.

    Attributes
    ----------
    brain, head : SampledImage
        Few samples of either, to tell whether skull and scalp fit.
    used_brain, used_head : SampledImage
        Many samples; in the head the brain has half the density.
    skull : SampledImage
        Samples of the head outside the brain.
    """

    brain: SampledImage
    head: SampledImage
    used_brain: SampledImage
    used_head: SampledImage
    skull: SampledImage


@dataclass(frozen=True)
class Aligned:
    """A visit aligned to the average of the others.

    Attributes
    ----------
    visit_to_space : (4, 4) float64
        LPS mm.
    correlation : float
        Local correlation inside the brain, before.
    has_skull : bool
        Whether skull and scalp fit as well as the brain, and were used.
    skull : SkullScale or None
        The scale of the visit by its skull; None where there is no skull in view, or it was not asked for.
    scale_error : ScaleError or None
        Of the scale of the map; None if it is rigid.
    """

    visit_to_space: Matrix
    correlation: float
    has_skull: bool
    skull: SkullScale | None = None
    scale_error: ScaleError | None = None


def prepare(image: ArrayOnGrid, region: Region, *, is_coarse: bool = False) -> Prepared:
    """Build the levels of an image at full resolution, or at 2 mm if noise dominates it."""
    regions = (region, region.with_surroundings())
    brain, head = finest_levels(image, COARSE_MM if is_coarse else SPACING_MM, regions)
    return Prepared(
        _sampled(brain, FEW_SAMPLES),
        _sampled(head, FEW_SAMPLES),
        _sampled(brain, SAMPLES),
        _sampled(with_checkerboard_brain(head, region), SAMPLES),
        _sampled(without_brain(head, region), SKULL_SAMPLES),
    )


def align(visit: Prepared, others: Prepared, visit_to_space: Matrix, dof: int, *, scale: bool = False) -> Aligned:
    """Align a visit to an average, as the last pass of the refinement aligns two scans of one person.

    Parameters
    ----------
    visit, others : Prepared
        The visit in its own voxels; the average of the other visits in the mean space.
    visit_to_space : (4, 4) float64
        The current map, LPS mm.
    dof : int
        6, 7, 9 or 12; with 9 the scales lie along the axes of the visit.
    scale : bool
        Whether the scale of the skull is measured.
    """
    brain = _correlation(visit.brain, others.brain, visit_to_space)
    has_skull = bool(heads_agree(brain, _correlation(visit.head, others.head, visit_to_space)))
    used = (visit.used_head, others.used_head) if has_skull else (visit.used_brain, others.used_brain)
    outcome = minimize(*used, visit_to_space, dof=dof, max_steps=MAX_STEPS, stop_mm=STOP_MM, newton=True)
    found = outcome.fixed_to_moving
    skull = skull_scale(visit.skull, others.skull, found) if scale and has_skull else None
    error = scale_error(*used, found, outcome.linearized, dof) if dof > 6 else None
    return Aligned(found, brain, has_skull, skull, error)


def is_too_noisy(visit: Prepared, others: Prepared, visit_to_space: Matrix, coarse_correlation: float) -> bool:
    """Return whether noise dominates full resolution, so that 2 mm is used."""
    return is_noise_dominated(_correlation(visit.brain, others.brain, visit_to_space), coarse_correlation)


def _sampled(level: PyramidLevel, count: int) -> SampledImage:
    return SampledImage(take_samples(level, count), level)


def _correlation(one: SampledImage, other: SampledImage, a_to_b: Matrix) -> float:
    return mean_correlation(linearize_both(one, other, a_to_b, middle(one, other, a_to_b)))
