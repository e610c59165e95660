"""Refinement of an affine on the intensities inside both brain masks: symmetric Gauss-Newton, coarse to fine."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import check_affine, nearest_dof
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import Anchor, HeadShape, Structures
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.gauss_newton import Pass
from stnreg.registration.refine.information import InformedHead, refine_one_head
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.mirror import check_mirror
from stnreg.registration.refine.one_person import (
    LevelPair,
    SampledPair,
    refine_finest,
    run_pass,
    sample_both,
    supported,
)
from stnreg.registration.refine.pair_type import is_nearly_same_person, is_same_contrast, is_same_person
from stnreg.registration.refine.parallel import Side, on_both, second_worker
from stnreg.registration.refine.pyramid import build_levels, check_image, upright
from stnreg.registration.refine.refined import CORRELATION, INFORMATION, SIMULATED, Refined
from stnreg.registration.refine.region import BRAIN_SHARE, INNER_SHARE, Region
from stnreg.registration.refine.samples import extent, middle, motion_mm
from stnreg.registration.refine.simulated import SimulatedHead, refine_blurred
from stnreg.resampling.block_mean import BlockMeans

PASSES = (Pass(8.0, 6_000, 15, 0.2), Pass(4.0, 20_000, 12, 0.05), Pass(2.0, 30_000, 8, 0.03))
MIRROR_LEVEL = 1
ONE_SHAPE = 1.4  # of `Structures.misfit`: more, and the images show two people


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
    structures: Structures | None = None,
    across_contrasts: bool = True,
    means: tuple[BlockMeans, BlockMeans] | None = None,
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
    structures : Structures, optional
        Points that both images show. They count beside the intensities, unless both images show one person.
    across_contrasts : bool
        Whether one head in two contrasts is looked for by mutual information, which says little of a wrong pose: where
        both images are known to show a head in its place.
    means : (BlockMeans, BlockMeans), optional
        Of both images, if others have computed some.
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
        finest = _averaged(sides, means or (BlockMeans(*check_image(fixed)), BlockMeans(*check_image(moving))), pool)
        spacings_mm = [p.spacing_mm for p in PASSES]
        levels = on_both(lambda image, region: build_levels(image, spacings_mm, region), finest, pool)
        built = perf_counter()
        pairs = list(zip(*levels, strict=True))
        heads = fixed_brain is not None and moving_brain is not None
        anchors: tuple[Anchor, ...] = (HeadShape(),) if heads else ()
        anchors += () if structures is None else (structures,)
        result = _coarse_to_fine(pairs, start, dof, pool, anchors)
        gain = None
        if moving_mirror is not None:
            result, gain = _escape_mirror(pairs, result, moving_mirror, dof, pool, anchors)
        if anchors:
            result = _alone_if_nearly_one_person(result, pool)
        similarity = CORRELATION
        one_shape = structures is None or structures.misfit <= ONE_SHAPE
        if across_contrasts and heads and one_shape and not result.same_person:
            result, similarity = _across_contrasts(finest, pairs[-1], result, pool)
        stepped = perf_counter()
        refined = None
        if result.improved and result.same_person and similarity == CORRELATION:
            result = _with_supported_dof(result, pool) if heads else result
            refined = refine_finest(sides, result.fixed_to_moving, result.dof, mean_correlation(result.after), pool)
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
        similarity=similarity,
        steps=result.steps + ((refined.steps,) if refined else ()),
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=_notes(result, dof, by_structures=structures is not None),
    )


def _averaged(
    sides: tuple[Side, Side], means: tuple[BlockMeans, BlockMeans], pool: Executor | None
) -> tuple[Side, Side]:
    """Average both images to the finest voxels that every pair is refined at; once for all that is built from them."""

    def average(image: BlockMeans, region: Region) -> Side:
        return upright(*image.at(PASSES[-1].spacing_mm)), region

    both = (means[0], sides[0][1]), (means[1], sides[1][1])
    first, second = on_both(average, both, pool)
    return first, second


def _notes(result: "_PyramidResult", dof: int, *, by_structures: bool) -> tuple[str, ...]:
    if not result.improved:  # where structures count, the start may have been their optimum, and needs no word
        return (
            ()
            if result.start_is_best or by_structures
            else ("the refinement did not improve the initial transform, which is kept",)
        )
    if result.dof == dof or result.rigid:  # that one head moved rigidly needs no note
        return ()
    return (f"the overlap supports {result.dof} degrees of freedom, not {dof}",)


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
    one_head: bool = False  # which was decided, whatever the correlation at the end
    rigid: bool = False  # because one head needs no more

    @property
    def improved(self) -> bool:
        return self.one_head or total_cost(self.after, self.before) < total_cost(self.before, self.before)

    @property
    def same_person(self) -> bool:
        return self.one_head or is_same_person(mean_correlation(self.after))

    @property
    def start_is_best(self) -> bool:
        """Whether there was nothing to improve: one head, and the passes came back to where it lay."""
        return not self.improved and self.same_person and self.returned_mm <= PASSES[-1].stop_mm


def _coarse_to_fine(
    levels: list[LevelPair], start: Matrix, dof: int, pool: Executor | None, anchors: Sequence[Anchor]
) -> _PyramidResult:
    first = sample_both(levels[0], PASSES[0].samples)
    usable = supported_dof(dof, *extent(*first, start))
    initial = nearest_dof(start, middle(*first, start), dof)
    current = nearest_dof(initial, middle(*first, initial), usable)
    steps, same_contrast = [], False
    for pair, level_pass in zip(levels, PASSES, strict=True):
        sampled = sample_both(pair, level_pass.samples, INNER_SHARE if same_contrast else BRAIN_SHARE)
        outcome = run_pass(sampled, current, usable, level_pass, pool, anchors)
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
    levels: list[LevelPair],
    result: _PyramidResult,
    moving_mirror: Matrix,
    dof: int,
    pool: Executor | None,
    anchors: Sequence[Anchor],
) -> tuple[_PyramidResult, float]:
    """Check the mirror; return the better of the result and its restart, and the gain of the mirror."""
    check = check_mirror(levels[MIRROR_LEVEL], result.fixed_to_moving, moving_mirror, result.dof, pool)
    if check.unmirrored_restart is None:
        return result, check.gain
    again = _coarse_to_fine(levels, check.unmirrored_restart, dof, pool, anchors)
    if mean_correlation(again.after) > mean_correlation(result.after):
        result = replace(again, start=result.start, before=result.before)
    return result, check.gain


def _alone_if_nearly_one_person(result: _PyramidResult, pool: Executor | None) -> _PyramidResult:
    """Let the intensities alone decide where they almost show one person: structures are less precise than they are."""
    if result.same_person or not is_nearly_same_person(mean_correlation(result.after)):
        return result
    alone = run_pass(result.sampled, result.fixed_to_moving, result.dof, PASSES[-1], pool)
    found = replace(result, fixed_to_moving=alone.fixed_to_moving, after=alone.linearized)
    return found if found.same_person else result


def _across_contrasts(
    sides: tuple[Side, Side], finest: LevelPair, result: _PyramidResult, pool: Executor | None
) -> tuple[_PyramidResult, str]:
    """Refine one head across resolutions or contrasts, if the images show one; also return the similarity used."""
    similarity = SIMULATED
    found: SimulatedHead | InformedHead | None = refine_blurred(sides, finest, result.start, pool)
    if found is None and not result.same_contrast:
        similarity = INFORMATION
        found = refine_one_head(sides, result.start, result.fixed_to_moving, pool)
    if found is None:
        return result, CORRELATION
    end = found.fixed_to_moving
    after = linearize_both(*result.sampled, end, middle(*result.sampled, end), pool)
    changed = {"fixed_to_moving": end, "dof": 6, "after": after, "steps": result.steps + found.steps}
    return replace(result, **changed, one_head=True, rigid=True), similarity


def _with_supported_dof(result: _PyramidResult, pool: Executor | None) -> _PyramidResult:
    """Return the rigid result for one head if an affine fits hardly better."""
    rigid = supported(result.sampled, result.fixed_to_moving, result.dof, result.after, PASSES[-1], pool)
    if rigid is None:
        return result
    return replace(
        result, fixed_to_moving=rigid.fixed_to_moving, dof=6, after=rigid.linearized, rigid=True, one_head=True
    )
