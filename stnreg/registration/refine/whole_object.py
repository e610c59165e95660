"""Refinement of an affine on two whole objects: heads, cubes, phantoms, other organs, animals.

There is no brain map to say what counts, so the foreground does. Mutual information and outlines come first, coarse to
fine; images of one object, which local correlation tells, are then refined by that, to convergence.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.errors import DataError
from stnreg.geometry.affine import check_affine, invert, nearest_dof
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.gauss_newton import Outcome, Pass, minimize
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.mutual_information import inform
from stnreg.registration.refine.object_level import ObjectLevel, object_levels, radius, sample_object
from stnreg.registration.refine.pair_type import SAME_PERSON_CORRELATION, is_same_contrast, is_same_person
from stnreg.registration.refine.parallel import Side, on_both, second_worker
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.refined import Refined
from stnreg.registration.refine.refinement import refine_affine
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, extent, middle, motion_mm, take_samples

OBJECT_PASSES = (Pass(8.0, 10_000, 25, 0.1), Pass(4.0, 20_000, 15, 0.05), Pass(2.0, 50_000, 12, 0.03))
HEAD_RADIUS_MM = 70.0  # root mean square distance of a head from its centre
HEADLIKE = 1.6  # objects this much smaller or larger are still measured as heads
FEW_SAMPLES = 20_000  # to correlate by
FEWEST_SAMPLES = 6_000  # to measure the overlap by
ALIKE = 0.85  # share of the local correlation of one object from which on it is refined by that
KEPT_INFORMATION = 0.003  # share that local correlation may cost: more, and the object has changed
ObjectPair = tuple[ObjectLevel, ObjectLevel]
SampledPair = tuple[SampledImage, SampledImage]


def refine_objects(
    fixed: ArrayOnGrid,
    moving: ArrayOnGrid,
    starts: Sequence[Matrix],
    *,
    fixed_mask: ArrayOnGrid | None = None,
    moving_mask: ArrayOnGrid | None = None,
    fixed_exclude: ArrayOnGrid | None = None,
    moving_exclude: ArrayOnGrid | None = None,
    dof: int = 12,
    threads: int = 2,
) -> Refined:
    """Refine the best of several affines between two objects.

    Symmetric as `refine_affine` is.

    Parameters
    ----------
    fixed, moving : (array, Grid)
        Intensities, (z, y, x), any real type, and their grid. Objects are brighter than the air around them.
    starts : sequence of (4, 4) float64
        Initial `fixed_to_moving`, LPS mm: the estimate, then what else may be right, such as the inverse of the
        estimate for the images exchanged. All are refined at the coarsest level.
    fixed_mask, moving_mask, fixed_exclude, moving_exclude : (array, Grid), optional
        As in `refine_affine`.
    dof : int
        6, 7, 9 or 12.
    threads : int
        1, or 2 to process both images in parallel; the result is the same.

    Returns
    -------
    Refined
        With `there_and_back_mm`: how far the first two starts are apart once each is refined.

    Raises
    ------
    DataError
        If an array is not on its grid, or there is no start.
    """
    if not starts:
        raise DataError("expected at least one affine to refine")
    images = {
        "fixed": fixed,
        "moving": moving,
        "fixed_mask": fixed_mask,
        "moving_mask": moving_mask,
        "fixed_exclude": fixed_exclude,
        "moving_exclude": moving_exclude,
    }
    zoom = _zoom(fixed, moving)
    lengths = np.diag([zoom, zoom, zoom, 1.0])

    def zoomed(image: ArrayOnGrid | None) -> ArrayOnGrid | None:
        return None if image is None else (image[0], Grid(image[1].size, lengths @ image[1].index_to_lps))

    found = _refine(
        {name: zoomed(image) for name, image in images.items()},
        [lengths @ check_affine(one) @ invert(lengths) for one in starts],
        dof,
        threads,
    )
    apart_mm = found.there_and_back_mm
    return replace(
        found,
        fixed_to_moving=invert(lengths) @ found.fixed_to_moving @ lengths,
        motion_mm=found.motion_mm / zoom,
        there_and_back_mm=None if apart_mm is None else apart_mm / zoom,
    )


def _zoom(fixed: ArrayOnGrid, moving: ArrayOnGrid) -> float:
    """Return the factor by which lengths are multiplied so that both objects are about the size of a head.

    Spacings, windows and limits are those of heads, which are left as they are.
    """
    radius_mm = max(radius(*fixed), radius(*moving))
    zoom = HEAD_RADIUS_MM / radius_mm if radius_mm > 0 else 1.0
    return 1.0 if 1 / HEADLIKE <= zoom <= HEADLIKE else zoom


def _refine(images: dict[str, ArrayOnGrid | None], starts: Sequence[Matrix], dof: int, threads: int) -> Refined:
    """Refine two objects of about the size of a head; arguments as those of `refine_objects`."""
    begun = perf_counter()
    fixed, moving = images["fixed"], images["moving"]
    assert fixed is not None
    assert moving is not None
    masks: dict[str, Any] = {name: image for name, image in images.items() if name not in ("fixed", "moving")}
    sides = (
        (fixed, Region(mask=images["fixed_mask"], exclude=images["fixed_exclude"])),
        (moving, Region(mask=images["moving_mask"], exclude=images["moving_exclude"])),
    )
    with one_blas_thread(), second_worker(threads) as pool:
        spacings_mm = [p.spacing_mm for p in OBJECT_PASSES]
        levels = on_both(lambda image, region: object_levels(image, spacings_mm, region), sides, pool)
        pairs: list[ObjectPair] = list(zip(*levels, strict=True))
        built = perf_counter()
        usable, begins = _usable_starts(pairs[0], starts, dof)
        informed = _inform_coarse_to_fine(pairs, begins, usable, pool)
        stepped = perf_counter()
        closeness = _Closeness(sides, pool)
        at_start = mean_correlation(closeness.of(begins[0]))
        improved = informed.cost(informed.fixed_to_moving) < informed.cost(begins[0])
        found, steps = informed.fixed_to_moving if improved else begins[0], informed.steps
        within = closeness.of(found)
        if mean_correlation(within) >= ALIKE * SAME_PERSON_CORRELATION:
            closer = refine_affine(fixed, moving, found, **masks, dof=usable, threads=threads)
            bound = informed.cost(found) + KEPT_INFORMATION * abs(informed.cost(found))
            if closer.same_person and closer.improved and informed.cost(closer.fixed_to_moving) <= bound:
                found, improved, steps = closer.fixed_to_moving, True, (*steps, *closer.steps)
                within = closeness.of(found)
    correlation = mean_correlation(within)
    return Refined(
        fixed_to_moving=found,
        improved=improved,
        dof=usable,
        same_person=is_same_person(correlation),
        same_contrast=is_same_contrast(correlation, mean_raw_correlation(within)),
        local_correlation=correlation,
        start_correlation=at_start,
        overlap=min(one.overlap for one in within),
        residual=max(float(np.median(np.abs(one.residual))) if len(one.residual) else np.inf for one in within),
        motion_mm=motion_mm(*informed.sampled, begins[0], found),
        mirror_gain=None,
        steps=steps,
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=() if usable == dof else (f"the overlap supports {usable} degrees of freedom, not {dof}",),
        there_and_back_mm=informed.apart_mm,
    )


@dataclass(frozen=True)
class _Informed:
    """The result of all passes on mutual information and outlines; `sampled` are those of the finest.

    The first two starts ended `apart_mm` from each other at the coarsest level; None if there was one.
    """

    fixed_to_moving: Matrix
    steps: tuple[int, ...]
    apart_mm: float | None
    sampled: SampledPair
    pool: Executor | None

    def cost(self, fixed_to_moving: Matrix) -> float:
        """Return the cost of an affine at the finest level."""
        center_lps = middle(*self.sampled, fixed_to_moving)
        both = linearize_both(*self.sampled, fixed_to_moving, center_lps, self.pool, inform)
        return total_cost(both, both)


def _inform_coarse_to_fine(pairs: list[ObjectPair], begins: list[Matrix], dof: int, pool: Executor | None) -> _Informed:
    """Refine every start at the coarsest level, and the best of them at the finer ones."""

    def run(sampled: SampledPair, start: Matrix, p: Pass) -> Outcome:
        return minimize(*sampled, start, dof=dof, max_steps=p.max_steps, stop_mm=p.stop_mm, pool=pool, one_way=inform)

    sampled = _sample(pairs[0], OBJECT_PASSES[0].samples)
    coarse = [run(sampled, start, OBJECT_PASSES[0]) for start in begins]
    apart_mm = motion_mm(*sampled, *(one.fixed_to_moving for one in coarse[:2])) if len(coarse) > 1 else None
    best = min(coarse, key=lambda one: total_cost(one.linearized, one.linearized))
    steps = [best.steps]
    for pair, p in zip(pairs[1:], OBJECT_PASSES[1:], strict=True):
        sampled = _sample(pair, p.samples)
        best = run(sampled, best.fixed_to_moving, p)
        steps.append(best.steps)
    return _Informed(best.fixed_to_moving, tuple(steps), apart_mm, sampled, pool)


class _Closeness:
    """How well two objects correlate locally under an affine, at the finest level that all pairs have.

    Parameters
    ----------
    sides : pair of (image, Region)
    pool : Executor, optional
        A second thread for the other image.
    """

    def __init__(self, sides: tuple[Side, Side], pool: Executor | None) -> None:
        finest = OBJECT_PASSES[-1]
        levels = on_both(lambda image, region: build_levels(image, [finest.spacing_mm], region)[0], sides, pool)
        fixed, moving = (SampledImage(take_samples(level, FEW_SAMPLES), level) for level in levels)
        self.sampled, self.pool = (fixed, moving), pool

    def of(self, fixed_to_moving: Matrix) -> Linearizations:
        """Linearize both directions."""
        return linearize_both(*self.sampled, fixed_to_moving, middle(*self.sampled, fixed_to_moving), self.pool)


def _usable_starts(pair: ObjectPair, starts: Sequence[Matrix], dof: int) -> tuple[int, list[Matrix]]:
    """Return the degrees of freedom that the overlap supports under any of the starts, and the starts with as many."""
    inside = [SampledImage(take_samples(level.object_alone, FEWEST_SAMPLES), level.object_alone) for level in pair]
    usable = max(supported_dof(dof, *extent(inside[0], inside[1], start)) for start in starts)
    return usable, [nearest_dof(one, middle(inside[0], inside[1], one), usable) for one in starts]


def _sample(pair: ObjectPair, count: int) -> SampledPair:
    fixed, moving = (sample_object(level, count) for level in pair)
    return fixed, moving
