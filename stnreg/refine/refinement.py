"""From a start within a few millimetres to the last one: Gauss-Newton, coarse to fine, inside the brain."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np

from stnreg.geometry.affine import check_affine, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.refine.choose import heads_agree, is_same_person
from stnreg.refine.freedom import supported_dof
from stnreg.refine.gauss_newton import (
    Outcome,
    Scene,
    both_views,
    descend,
    extent,
    mean_correlation,
    middle,
    motion_mm,
    take_samples,
    total_cost,
)
from stnreg.refine.pyramid import Level, build_levels, finest_level
from stnreg.refine.region import Image, Region

Built = TypeVar("Built")


@dataclass(frozen=True)
class Pass:
    """One level of the refinement: voxels of that spacing, so many samples of each image, when to stop."""

    spacing_mm: float
    samples: int
    max_steps: int
    stop_mm: float


PASSES = (Pass(8.0, 6_000, 15, 0.2), Pass(4.0, 20_000, 10, 0.05), Pass(2.0, 30_000, 8, 0.05))
# One head: the image itself, until nothing moves.
LAST = Pass(1.0, 60_000, 10, 0.001)
HEAD_SAMPLES = 10_000  # to tell whether skull and scalp may help


@dataclass(frozen=True)
class Refined:
    """What the refinement found.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        LPS mm; of `dof` degrees of freedom to rounding.
    improved : bool
        Whether it is better than the start by the refinement's own measure; the start is kept if not.
    dof : int
        What was estimated: less than wanted where the overlap does not support it.
    same_person : bool
        Whether both images show one head.
    local_correlation, start_correlation : float
        Inside the brain at the finest level, after and before; 0 to 1.
    overlap : float
        Of the samples, how many see the other image: the smaller share of both.
    residual : float
        Median absolute residual, in local deviations; the larger of both.
    motion_mm : float
        Root mean square motion of the fixed brain from the start.
    steps : tuple of int
        Per level, coarse to fine.
    timings_s : dict
        Wall time of building the levels and of stepping.
    notes : tuple of str
        What a user should hear, in words.
    """

    fixed_to_moving: Matrix
    improved: bool
    dof: int
    same_person: bool
    local_correlation: float
    start_correlation: float
    overlap: float
    residual: float
    motion_mm: float
    steps: tuple[int, ...]
    timings_s: dict[str, float]
    notes: tuple[str, ...] = ()


def refine_affine(
    fixed: Image,
    moving: Image,
    fixed_to_moving: Matrix,
    *,
    fixed_brain: Image | None = None,
    moving_brain: Image | None = None,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    fixed_exclude: Image | None = None,
    moving_exclude: Image | None = None,
    dof: int = 12,
    threads: int = 2,
) -> Refined:
    """Refine an affine that is a few mm and degrees off.

    Symmetric: with the images exchanged and the start inverted the result is the inverse (except for 9 degrees of
    freedom, which scale along the fixed image's axes and so are not the same family from the other side).

    Parameters
    ----------
    fixed, moving : (array, Grid)
        Intensities, (z, y, x), any real type, and where they lie.
    fixed_to_moving : (4, 4) float64
        The start, LPS mm.
    fixed_brain, moving_brain : (array, Grid), optional
        Soft brain maps, 0 to 1, on grids of their own; the foreground is used without one.
    fixed_mask, moving_mask : (array, Grid), optional
        Non-zero where to look, instead of the brain map.
    fixed_exclude, moving_exclude : (array, Grid), optional
        Non-zero where not to look: lesions, resections.
    dof : int
        6, 7, 9 or 12.
    threads : int
        1, or 2 to work on both images at once; the result is the same.

    Returns
    -------
    Refined

    Raises
    ------
    DataError
        If an array is not on its grid.
    GeometryError
        If the start is not affine, or dof is none of these.
    """
    begun = perf_counter()
    start = check_affine(fixed_to_moving)
    sides = (
        (fixed, Region(fixed_brain, fixed_mask, fixed_exclude)),
        (moving, Region(moving_brain, moving_mask, moving_exclude)),
    )
    spacings = [p.spacing_mm for p in PASSES]
    with _workers(threads) as pool:
        levels = _on_both(lambda image, region: build_levels(image, spacings, region), sides, pool)
        built = perf_counter()
        scenes = [_scenes(pair, p.samples) for pair, p in zip(zip(*levels, strict=True), PASSES, strict=True)]
        usable = supported_dof(dof, *extent(*scenes[0], start))
        begin = nearest_dof(start, middle(*scenes[0], start), usable)
        outcomes = []
        for pair, p in zip(scenes, PASSES, strict=True):
            outcomes.append(_descend(pair, outcomes[-1].fixed_to_moving if outcomes else begin, usable, p, pool))
        correlation = outcomes[-1].correlation
        same_person = is_same_person(correlation)
        before = both_views(*scenes[-1], begin, middle(*scenes[-1], begin), pool)
        improved = total_cost(outcomes[-1].views, before) < total_cost(before, before)
        stepped = perf_counter()
        if same_person and improved:
            last = _one_person(sides, outcomes[-1].fixed_to_moving, pool)
            outcomes.append(_descend(last, outcomes[-1].fixed_to_moving, usable, LAST, pool))
    end = outcomes[-1].fixed_to_moving if improved else begin
    views = outcomes[len(PASSES) - 1].views if improved else before
    return Refined(
        fixed_to_moving=end,
        improved=improved,
        dof=usable,
        same_person=same_person,
        local_correlation=mean_correlation(views),
        start_correlation=mean_correlation(before),
        overlap=min(v.share for v in views),
        residual=max(float(np.median(np.abs(v.residual))) if len(v.residual) else np.inf for v in views),
        motion_mm=motion_mm(scenes[-1][0].samples, begin, end),
        steps=tuple(o.steps for o in outcomes),
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=() if usable == dof else (f"the overlap supports {usable} degrees of freedom, not {dof}",),
    )


Side = tuple[Image, Region]
Scenes = tuple[Scene, Scene]


def _one_person(sides: tuple[Side, Side], fixed_to_moving: Matrix, pool: Executor | None) -> Scenes:
    """Return the scenes of the last pass: the head if skull and scalp agree as the brain does, else the brain.

    A brain that has shrunk is measured against its skull. Where one image is stripped, or the contrasts differ,
    what surrounds the brain does not help.
    """

    def build(image: Image, region: Region) -> tuple[Level, Level]:
        return tuple(finest_level(image, LAST.spacing_mm, r) for r in (region, region.with_surroundings()))

    brains, heads = zip(*_on_both(build, sides, pool), strict=True)
    if not all(region.has_surroundings for _, region in sides):
        return _scenes(brains, LAST.samples)
    agreement = []
    for levels in (brains, heads):
        few = _scenes(levels, HEAD_SAMPLES)
        agreement.append(mean_correlation(both_views(*few, fixed_to_moving, middle(*few, fixed_to_moving), pool)))
    return _scenes(heads if heads_agree(*agreement) else brains, LAST.samples)


def _scenes(levels: tuple[Level, Level], count: int) -> Scenes:
    return Scene(take_samples(levels[0], count), levels[0]), Scene(take_samples(levels[1], count), levels[1])


def _descend(scenes: Scenes, start: Matrix, dof: int, level_pass: Pass, pool: Executor | None) -> Outcome:
    max_steps, stop_mm = level_pass.max_steps, level_pass.stop_mm
    return descend(*scenes, start, dof=dof, max_steps=max_steps, stop_mm=stop_mm, pool=pool)


def _on_both(build: Callable[[Image, Region], Built], sides: tuple[Side, Side], pool: Executor | None) -> list[Built]:
    """Do the same for both images, at once where there is a pool."""
    if pool is None:
        return [build(*side) for side in sides]
    waiting = pool.submit(build, *sides[0])
    second = build(*sides[1])
    return [waiting.result(), second]


@contextmanager
def _workers(threads: int) -> Iterator[Executor | None]:
    """Give a second thread to work on the other image; None where there is only one."""
    if threads < 2:
        yield None
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool
