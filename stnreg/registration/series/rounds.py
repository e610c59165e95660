"""Rounds of refinement: the visits on the template's grid, and each aligned to the average of the others."""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.lie import exp_affine, log_affine
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.refine.region import Region
from stnreg.registration.series.agreement import recentred
from stnreg.registration.series.align import Aligned, Prepared, align, is_too_noisy, prepare
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.template import gains, on_grid, template_grid
from stnreg.resampling.resample import resample

Array = np.ndarray
MAX_ROUNDS, STOP_MM = 6, 0.01
MAPS_MM = 4.0


@dataclass(frozen=True, eq=False)
class Rounds:
    """The refined maps.

    Attributes
    ----------
    maps : list of (4, 4) float64
        From the mean space to each visit, LPS mm.
    grid : Grid
        Of the mean space.
    brain : (array, Grid)
        Mean soft brain map of the visits, in the mean space.
    gains : list of float
        Factors that give all visits the same brightness.
    aligned : list of Aligned
        The last alignment of each visit.
    moved_mm : tuple of float
        How far the visits moved in each round, the farthest of them.
    """

    maps: list[Matrix]
    grid: Grid
    brain: ArrayOnGrid
    gains: list[float]
    aligned: list[Aligned]
    moved_mm: tuple[float, ...]


def refine_in_rounds(
    visits: Sequence[EncodedImage],
    maps: Sequence[Matrix],
    coarse_correlation: float,
    options: SeriesOptions,
    masks: Sequence[Volume | None],
) -> Rounds:
    """Refine the maps to the visits until none moves by more than `STOP_MM`.

    In each round every visit is resampled to one grid, and aligned to the mean of the others: without the visit itself,
    whose noise would hold it in place. A visit that is off by d is off by d n / (n - 1) from the others, so that it
    moves by that fraction less.

    Parameters
    ----------
    visits : sequence of EncodedImage
    maps : sequence of (4, 4) float64
        From the mean space to each visit, LPS mm.
    coarse_correlation : float
        Local correlation of the visits at 2 mm.
    options : SeriesOptions
    masks : sequence of Volume or None
        The part of each visit to ignore, on its grid.
    """
    images = [(one.volume.array, one.volume.grid) for one in visits]
    current = list(maps)
    grid = template_grid(images, current, options.spacing_mm)
    moved: list[float] = []
    state = _State(visits, grid, options, masks)
    with one_blas_thread(), ThreadPoolExecutor(max(options.thread_count, 1)) as pool:
        while len(moved) < MAX_ROUNDS and (not moved or moved[-1] > STOP_MM):
            brain = mean_brain(visits, current, grid)
            aligned = state.aligned(current, brain, coarse_correlation, pool)
            stepped = recentred(_stepped(current, aligned), current)
            points = brain_points(brain)
            moved.append(max(_distance_mm(a, b, points) for a, b in zip(stepped, current, strict=True)))
            current = stepped
    return Rounds(current, grid, mean_brain(visits, current, grid), state.gains, aligned, tuple(moved))


class _State:
    """What the rounds share: the levels of the visits in their own voxels, and the brightness of each."""

    def __init__(
        self, visits: Sequence[EncodedImage], grid: Grid, options: SeriesOptions, masks: Sequence[Volume | None]
    ) -> None:
        self.images: list[ArrayOnGrid] = [(one.volume.array, one.volume.grid) for one in visits]
        self.masks = [None if mask is None else (mask.array, mask.grid) for mask in masks]
        self.regions = [
            Region((one.encoding.brain, one.encoding.maps_grid), exclude=mask)
            for one, mask in zip(visits, self.masks, strict=True)
        ]
        self.grid, self.options = grid, options
        self.prepared: list[Prepared] = []
        self.gains: list[float] = []
        self.is_coarse = False

    def aligned(
        self, maps: Sequence[Matrix], brain: ArrayOnGrid, coarse_correlation: float, pool: Executor
    ) -> list[Aligned]:
        """Align each visit to the mean of the others."""
        grid, threads = self.grid, self.options.thread_count
        shown = [on_grid(image, grid, one, "linear", threads) for image, one in zip(self.images, maps, strict=True)]
        self.gains = gains(shown, resample(*brain, grid, np.eye(4)) > 0.5)
        for image, factor in zip(shown, self.gains, strict=True):
            image *= np.float32(factor)
        others, back = _Others(shown), [invert(one) for one in maps]
        if not self.prepared:
            self.prepared = list(pool.map(prepare, self.images, self.regions))
            mean = prepare((others.without(0), grid), self._region_without(0, maps, brain))
            self.is_coarse = is_too_noisy(self.prepared[0], mean, back[0], coarse_correlation)
            if self.is_coarse:
                self.prepared = list(pool.map(partial(prepare, is_coarse=True), self.images, self.regions))

        def one_visit(k: int) -> Aligned:
            region = self._region_without(k, maps, brain)
            mean = prepare((others.without(k), grid), region, is_coarse=self.is_coarse)
            return align(self.prepared[k], mean, back[k], self.options.dof, scale=self.options.change)

        return list(pool.map(one_visit, range(len(maps))))

    def _region_without(self, number: int, maps: Sequence[Matrix], brain: ArrayOnGrid) -> Region:
        """Return the region of the mean of all visits but one: the brain, without what any of them ignores."""
        others = [
            (mask, to_visit) for k, (mask, to_visit) in enumerate(zip(self.masks, maps, strict=True)) if k != number
        ]
        ignored = ignored_on(self.grid, others)
        return Region(brain, exclude=None if ignored is None else (ignored, self.grid))


def ignored_on(grid: Grid, masks: Sequence[tuple[ArrayOnGrid | None, Matrix]]) -> Array | None:
    """Return where at least one of the masks of visits lies, (z, y, x) bool; None if there are none.

    Parameters
    ----------
    grid : Grid
        In the space of the template.
    masks : sequence of (mask or None, (4, 4) float64)
        Each with the map from the space of the template to its visit, LPS mm.
    """
    found = [resample(mask[0].astype(np.float32), mask[1], grid, a_to_b) > 0.05 for mask, a_to_b in masks if mask]
    return np.any(found, axis=0) if found else None


def _stepped(maps: Sequence[Matrix], aligned: Sequence[Aligned]) -> list[Matrix]:
    """Move each map towards where its visit was aligned, by (n - 1) / n of the way."""
    share = (len(maps) - 1) / len(maps)
    off = [log_affine(compose(found.visit_to_space, one)) for one, found in zip(maps, aligned, strict=True)]
    return [compose(one, invert(exp_affine(share * step))) for one, step in zip(maps, off, strict=True)]


def mean_brain(visits: Sequence[EncodedImage], maps: Sequence[Matrix], grid: Grid) -> ArrayOnGrid:
    """Return the mean soft brain map of the visits, in voxels of `MAPS_MM` over a grid."""
    size = np.ceil(grid.extent_mm / MAPS_MM).astype(int)
    coarse = Grid.cube(grid.center_lps, size, MAPS_MM)
    parts = [
        resample(one.encoding.brain, one.encoding.maps_grid, coarse, to_visit)
        for one, to_visit in zip(visits, maps, strict=True)
    ]
    return np.mean(parts, axis=0), coarse


def brain_points(brain: ArrayOnGrid) -> Array:
    """Return the voxel centres inside a soft brain map, (N, 3) LPS mm."""
    return apply_affine(brain[1].index_to_lps, np.argwhere(brain[0] > 0.5)[:, ::-1].astype(float))


class _Others:
    """The mean of all visits but one, of those that show a voxel."""

    def __init__(self, visits: Sequence[Array]) -> None:
        self.visits = visits
        self.seen = [np.isfinite(visit) for visit in visits]
        self.total = np.sum([np.nan_to_num(visit) for visit in visits], axis=0, dtype=np.float32)
        self.count = np.sum(self.seen, axis=0, dtype=np.float32)

    def without(self, number: int) -> Array:
        """Return the mean of the others, 0 where none of them shows the voxel."""
        seen = self.seen[number]
        rest = self.total - np.nan_to_num(self.visits[number])
        return rest / np.maximum(self.count - seen, 1)


def _distance_mm(a: Matrix, b: Matrix, points: Array) -> float:
    return float(np.linalg.norm(apply_affine(a, points) - apply_affine(b, points), axis=1).mean())
