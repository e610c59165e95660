"""From a start within a few millimetres to the last one: Gauss-Newton, coarse to fine, inside the brain."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import check_affine, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.gauss_newton import Outcome, descend
from stnreg.registration.refine.linearization import (
    View,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.mirror import fits_better_mirrored, try_mirrored
from stnreg.registration.refine.pair_type import heads_agree, is_noise_dominated, is_same_contrast, is_same_person
from stnreg.registration.refine.parallel import Side, on_both, second_worker
from stnreg.registration.refine.pyramid import Level, build_levels, finest_levels, with_checkerboard_brain
from stnreg.registration.refine.region import BRAIN_SHARE, INNER_SHARE, Image, Region
from stnreg.registration.refine.samples import Scene, extent, middle, motion_mm, take_samples


@dataclass(frozen=True)
class Pass:
    """One level of the refinement: voxels of that spacing, so many samples of each image, when to stop."""

    spacing_mm: float
    samples: int
    max_steps: int
    stop_mm: float
    newton: bool = False


PASSES = (Pass(8.0, 6_000, 15, 0.2), Pass(4.0, 20_000, 12, 0.05), Pass(2.0, 30_000, 8, 0.03))
MIRROR_LEVEL = 1
# One head: the image itself, until nothing moves.
LAST = Pass(1.0, 40_000, 6, 0.003, newton=True)
FEW_SAMPLES = 10_000  # to tell what the last pass should look at


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
        Of the result: less than wanted where the overlap does not support it.
    same_person, same_contrast : bool
        Whether both images show one head, and whether in one contrast.
    local_correlation, start_correlation : float
        Inside the brain at the finest level, after and before; 0 to 1.
    overlap : float
        Of the samples, how many see the other image: the smaller share of both.
    residual : float
        Median absolute residual, in local deviations; the larger of both.
    motion_mm : float
        Root mean square motion of the brain from the start.
    mirror_gain : float or None
        How much better the mirrored moving image would fit (`stnreg.registration.refine.mirror`); None where it was
        not asked.
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
    same_contrast: bool
    local_correlation: float
    start_correlation: float
    overlap: float
    residual: float
    motion_mm: float
    mirror_gain: float | None
    steps: tuple[int, ...]
    timings_s: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def mirrored(self) -> bool:
        """Whether the mirror of the moving image was found to fit clearly better."""
        return self.mirror_gain is not None and fits_better_mirrored(self.mirror_gain)


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
    moving_mirror: Matrix | None = None,
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
    moving_mirror : (4, 4) float64, optional
        The reflection in the moving head's midplane, LPS mm: whether its mirror would fit better is then found out.
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
    with one_blas_thread(), second_worker(threads) as pool:
        levels = on_both(lambda image, region: build_levels(image, [p.spacing_mm for p in PASSES], region), sides, pool)
        built = perf_counter()
        pairs = list(zip(*levels, strict=True))
        descent = _coarse_to_fine(pairs, start, dof, pool)
        gain = None
        if moving_mirror is not None:
            descent, gain = _escape_mirror(pairs, descent, moving_mirror, dof, pool)
        stepped = perf_counter()
        refined = _last_pass(sides, descent, pool) if descent.improved and descent.same_person else None
    end = refined.fixed_to_moving if refined else descent.fixed_to_moving
    return Refined(
        fixed_to_moving=end,
        improved=descent.improved,
        dof=descent.dof,
        same_person=descent.same_person,
        same_contrast=descent.same_contrast,
        local_correlation=mean_correlation(descent.after),
        start_correlation=mean_correlation(descent.before),
        overlap=min(v.share for v in descent.after),
        residual=max(float(np.median(np.abs(v.residual))) if len(v.residual) else np.inf for v in descent.after),
        motion_mm=motion_mm(*descent.scenes, descent.start, end),
        mirror_gain=gain,
        steps=descent.steps + ((refined.steps,) if refined else ()),
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=_notes(descent, dof),
    )


Scenes = tuple[Scene, Scene]


def _notes(descent: "_Descent", dof: int) -> tuple[str, ...]:
    if not descent.improved:
        return () if descent.start_is_best else ("the refinement did not improve the initial transform, which is kept",)
    return () if descent.dof == dof else (f"the overlap supports {descent.dof} degrees of freedom, not {dof}",)


@dataclass(frozen=True)
class _Descent:
    """Where the passes through the brain ended; `before` and `after` are views at the finest of them.

    They ended `returned_mm` from the start, which is kept where it is better.
    """

    start: Matrix
    fixed_to_moving: Matrix
    dof: int
    same_contrast: bool
    before: tuple[View, View]
    after: tuple[View, View]
    steps: tuple[int, ...]
    scenes: Scenes
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


def _coarse_to_fine(levels: list[tuple[Level, Level]], start: Matrix, dof: int, pool: Executor | None) -> _Descent:
    first = _scenes(levels[0], PASSES[0].samples)
    usable = supported_dof(dof, *extent(*first, start))
    given = nearest_dof(start, middle(*first, start), dof)
    current = nearest_dof(given, middle(*first, given), usable)
    steps, same_contrast = [], False
    for pair, level_pass in zip(levels, PASSES, strict=True):
        scenes = _scenes(pair, level_pass.samples, INNER_SHARE if same_contrast else BRAIN_SHARE)
        outcome = _descend(scenes, current, usable, level_pass, pool)
        current = outcome.fixed_to_moving
        steps.append(outcome.steps)
        if level_pass is PASSES[-2]:
            same_contrast = is_same_contrast(outcome.correlation, mean_raw_correlation(outcome.views))
    before = linearize_both(*scenes, given, middle(*scenes, given), pool)
    returned_mm = motion_mm(*scenes, given, current)
    descent = _Descent(given, current, usable, same_contrast, before, outcome.views, tuple(steps), scenes, returned_mm)
    return descent if descent.improved else replace(descent, fixed_to_moving=given, dof=dof, after=before)


def _escape_mirror(
    levels: list[tuple[Level, Level]], descent: _Descent, moving_mirror: Matrix, dof: int, pool: Executor | None
) -> tuple[_Descent, float]:
    """Return by how much the mirror fits better, and the descent from where it showed the way, if that is better."""
    look = try_mirrored(levels[MIRROR_LEVEL], descent.fixed_to_moving, moving_mirror, descent.dof, pool)
    if look.unmirrored_restart is None:
        return descent, look.gain
    again = _coarse_to_fine(levels, look.unmirrored_restart, dof, pool)
    if mean_correlation(again.after) > mean_correlation(descent.after):
        descent = replace(again, start=descent.start, before=descent.before)
    return descent, look.gain


def _last_pass(sides: tuple[Side, Side], descent: _Descent, pool: Executor | None) -> Outcome:
    """Finish one person on the images themselves: on the head if skull and scalp agree as the brain does.

    A brain that has shrunk is measured against its skull, and has half a say there. Where one image is stripped, or
    the contrasts differ, what surrounds the brain does not help. Where noise drowns the finest voxels, coarser ones
    are used.
    """
    current = descent.fixed_to_moving

    def build(spacing_mm: float) -> tuple[tuple[Level, Level], tuple[Level, Level], float, float]:
        """Return both images' brains, both images' heads, and how well each of the two fits."""

        def both_regions(image: Image, region: Region) -> list[Level]:
            return finest_levels(image, spacing_mm, (region, region.with_surroundings()))

        brains, heads = zip(*on_both(both_regions, sides, pool), strict=True)

        def fit(levels: tuple[Level, Level]) -> float:
            few = _scenes(levels, FEW_SAMPLES)
            return mean_correlation(linearize_both(*few, current, middle(*few, current), pool))

        return brains, heads, fit(brains), fit(heads)

    brains, heads, brain, head = build(LAST.spacing_mm)
    if is_noise_dominated(brain, mean_correlation(descent.after)):
        brains, heads, brain, head = build(PASSES[-1].spacing_mm)
    if heads_agree(brain, head):
        first, second = (
            with_checkerboard_brain(level, region) for level, (_, region) in zip(heads, sides, strict=True)
        )
        brains = first, second
    return _descend(_scenes(brains, LAST.samples), current, descent.dof, LAST, pool)


def _scenes(levels: tuple[Level, Level], count: int, least_share: float = BRAIN_SHARE) -> Scenes:
    fixed, moving = (Scene(take_samples(level, count, least_share), level) for level in levels)
    return fixed, moving


def _descend(scenes: Scenes, start: Matrix, dof: int, level_pass: Pass, pool: Executor | None) -> Outcome:
    p = level_pass
    return descend(*scenes, start, dof=dof, max_steps=p.max_steps, stop_mm=p.stop_mm, newton=p.newton, pool=pool)
