"""Refinement of an affine on the intensities inside both brain masks: symmetric Gauss-Newton, coarse to fine."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import check_affine, nearest_dof
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.gauss_newton import Outcome, minimize
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.mirror import check_mirror
from stnreg.registration.refine.pair_type import heads_agree, is_noise_dominated, is_same_contrast, is_same_person
from stnreg.registration.refine.parallel import Side, on_both, second_worker
from stnreg.registration.refine.pyramid import PyramidLevel, build_levels, finest_levels, with_checkerboard_brain
from stnreg.registration.refine.refined import Refined
from stnreg.registration.refine.region import BRAIN_SHARE, INNER_SHARE, Region
from stnreg.registration.refine.samples import SampledImage, extent, middle, motion_mm, take_samples


@dataclass(frozen=True)
class Pass:
    """Settings of one pyramid level: voxel spacing, samples of each image, stopping criteria (see `minimize`)."""

    spacing_mm: float
    samples: int
    max_steps: int
    stop_mm: float
    newton: bool = False


PASSES = (Pass(8.0, 6_000, 15, 0.2), Pass(4.0, 20_000, 12, 0.05), Pass(2.0, 30_000, 8, 0.03))
MIRROR_LEVEL = 1
# Images of one person: full resolution, to convergence.
LAST = Pass(1.0, 40_000, 6, 0.003, newton=True)
FEW_SAMPLES = 10_000  # to choose the region and the spacing of the last pass


def refine_affine(
    fixed: ArrayOnGrid,
    moving: ArrayOnGrid,
    fixed_to_moving: Matrix,
    *,
    fixed_brain: ArrayOnGrid | None = None,
    moving_brain: ArrayOnGrid | None = None,
    fixed_mask: ArrayOnGrid | None = None,
    moving_mask: ArrayOnGrid | None = None,
    fixed_exclude: ArrayOnGrid | None = None,
    moving_exclude: ArrayOnGrid | None = None,
    moving_mirror: Matrix | None = None,
    dof: int = 12,
    threads: int = 2,
) -> Refined:
    """Refine an affine that is a few mm and degrees off.

    Symmetric: with the images exchanged and the initial transform inverted, the result is the inverse. The exception
    is 9 degrees of freedom, which scale along the axes of the fixed image.

    Parameters
    ----------
    fixed, moving : (array, Grid)
        Intensities, (z, y, x), any real type, and their grid.
    fixed_to_moving : (4, 4) float64
        Initial transform, LPS mm.
    fixed_brain, moving_brain : (array, Grid), optional
        Soft brain maps, 0 to 1, on any grid. Without one the foreground is used.
    fixed_mask, moving_mask : (array, Grid), optional
        Non-zero where the image is used, instead of the brain map.
    fixed_exclude, moving_exclude : (array, Grid), optional
        Non-zero where it is not used: lesions, resections.
    moving_mirror : (4, 4) float64, optional
        The reflection in the moving head's midplane, LPS mm. If given, exchanged left and right is checked for.
    dof : int
        6, 7, 9 or 12.
    threads : int
        1, or 2 to process both images in parallel; the result is the same.

    Returns
    -------
    Refined

    Raises
    ------
    DataError
        If an array is not on its grid.
    GeometryError
        If the initial transform is not affine, or `dof` is none of these.
    """
    begun = perf_counter()
    start = check_affine(fixed_to_moving)
    sides = (
        (fixed, Region(fixed_brain, fixed_mask, fixed_exclude)),
        (moving, Region(moving_brain, moving_mask, moving_exclude)),
    )
    with one_blas_thread(), second_worker(threads) as pool:
        levels = on_both(lambda image, region: build_levels(image, [p.spacing_mm for p in PASSES], region), sides, pool)
        built = perf_counter()
        pairs = list(zip(*levels, strict=True))
        result = _coarse_to_fine(pairs, start, dof, pool)
        gain = None
        if moving_mirror is not None:
            result, gain = _escape_mirror(pairs, result, moving_mirror, dof, pool)
        stepped = perf_counter()
        refined = _last_pass(sides, result, pool) if result.improved and result.same_person else None
    end = refined.fixed_to_moving if refined else result.fixed_to_moving
    return Refined(
        fixed_to_moving=end,
        improved=result.improved,
        dof=result.dof,
        same_person=result.same_person,
        same_contrast=result.same_contrast,
        local_correlation=mean_correlation(result.after),
        start_correlation=mean_correlation(result.before),
        overlap=min(v.overlap for v in result.after),
        residual=max(float(np.median(np.abs(v.residual))) if len(v.residual) else np.inf for v in result.after),
        motion_mm=motion_mm(*result.sampled, result.start, end),
        mirror_gain=gain,
        steps=result.steps + ((refined.steps,) if refined else ()),
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=_notes(result, dof),
    )


SampledPair = tuple[SampledImage, SampledImage]
LevelPair = tuple[PyramidLevel, PyramidLevel]


def _notes(result: "_PyramidResult", dof: int) -> tuple[str, ...]:
    if not result.improved:
        return () if result.start_is_best else ("the refinement did not improve the initial transform, which is kept",)
    return () if result.dof == dof else (f"the overlap supports {result.dof} degrees of freedom, not {dof}",)


@dataclass(frozen=True)
class _PyramidResult:
    """The result of all pyramid levels; `before` and `after` are linearized at the finest of them.

    They ended `returned_mm` from the initial transform, which is kept if it is better.
    """

    start: Matrix
    fixed_to_moving: Matrix
    dof: int
    same_contrast: bool
    before: Linearizations
    after: Linearizations
    steps: tuple[int, ...]
    sampled: SampledPair
    returned_mm: float

    @property
    def improved(self) -> bool:
        return total_cost(self.after, self.before) < total_cost(self.before, self.before)

    @property
    def same_person(self) -> bool:
        return is_same_person(mean_correlation(self.after))

    @property
    def start_is_best(self) -> bool:
        """Whether there was nothing to improve: one head, and the passes came back to where it lay."""
        return not self.improved and self.same_person and self.returned_mm <= PASSES[-1].stop_mm


def _coarse_to_fine(levels: list[LevelPair], start: Matrix, dof: int, pool: Executor | None) -> _PyramidResult:
    first = _sample_both(levels[0], PASSES[0].samples)
    usable = supported_dof(dof, *extent(*first, start))
    initial = nearest_dof(start, middle(*first, start), dof)
    current = nearest_dof(initial, middle(*first, initial), usable)
    steps, same_contrast = [], False
    for pair, level_pass in zip(levels, PASSES, strict=True):
        sampled = _sample_both(pair, level_pass.samples, INNER_SHARE if same_contrast else BRAIN_SHARE)
        outcome = _run_level(sampled, current, usable, level_pass, pool)
        current = outcome.fixed_to_moving
        steps.append(outcome.steps)
        if level_pass is PASSES[-2]:
            same_contrast = is_same_contrast(outcome.correlation, mean_raw_correlation(outcome.linearized))
    before = linearize_both(*sampled, initial, middle(*sampled, initial), pool)
    returned = motion_mm(*sampled, initial, current)
    after, done = outcome.linearized, tuple(steps)
    result = _PyramidResult(initial, current, usable, same_contrast, before, after, done, sampled, returned)
    return result if result.improved else replace(result, fixed_to_moving=initial, dof=dof, after=before)


def _escape_mirror(
    levels: list[LevelPair], result: _PyramidResult, moving_mirror: Matrix, dof: int, pool: Executor | None
) -> tuple[_PyramidResult, float]:
    """Check the mirror; return the better of the result and its restart, and the gain of the mirror."""
    check = check_mirror(levels[MIRROR_LEVEL], result.fixed_to_moving, moving_mirror, result.dof, pool)
    if check.unmirrored_restart is None:
        return result, check.gain
    again = _coarse_to_fine(levels, check.unmirrored_restart, dof, pool)
    if mean_correlation(again.after) > mean_correlation(result.after):
        result = replace(again, start=result.start, before=result.before)
    return result, check.gain


def _last_pass(sides: tuple[Side, Side], result: _PyramidResult, pool: Executor | None) -> Outcome:
    """Refine a pair of one person at full resolution.

    If skull and scalp fit as well as the brain, they are sampled too, and the brain at half density: it may have
    shrunk since the other scan. They do not fit if an image is skull-stripped, or if the contrasts differ. If noise
    dominates the finest level, the 2 mm level is used.
    """
    current = result.fixed_to_moving

    def build(spacing_mm: float) -> tuple[LevelPair, LevelPair, float, float]:
        """Return the levels of both brains and of both heads, and the local correlation of each of the two."""

        def both_regions(image: ArrayOnGrid, region: Region) -> list[PyramidLevel]:
            return finest_levels(image, spacing_mm, (region, region.with_surroundings()))

        brains, heads = zip(*on_both(both_regions, sides, pool), strict=True)

        def correlation(levels: LevelPair) -> float:
            few = _sample_both(levels, FEW_SAMPLES)
            return mean_correlation(linearize_both(*few, current, middle(*few, current), pool))

        return brains, heads, correlation(brains), correlation(heads)

    brains, heads, brain, head = build(LAST.spacing_mm)
    if is_noise_dominated(brain, mean_correlation(result.after)):
        brains, heads, brain, head = build(PASSES[-1].spacing_mm)
    if heads_agree(brain, head):
        first, second = map(with_checkerboard_brain, heads, (region for _, region in sides))
        brains = first, second
    return _run_level(_sample_both(brains, LAST.samples), current, result.dof, LAST, pool)


def _sample_both(levels: LevelPair, count: int, least_share: float = BRAIN_SHARE) -> SampledPair:
    fixed, moving = (SampledImage(take_samples(level, count, least_share), level) for level in levels)
    return fixed, moving


def _run_level(sampled: SampledPair, start: Matrix, dof: int, level_pass: Pass, pool: Executor | None) -> Outcome:
    p = level_pass
    return minimize(*sampled, start, dof=dof, max_steps=p.max_steps, stop_mm=p.stop_mm, newton=p.newton, pool=pool)
