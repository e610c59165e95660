"""Rounds of refinement: the visits on the template's grid, and each aligned to the average of the others."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.lie import exp_affine, log_affine
from stnreg.geometry.matrix import Matrix
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
    visits: Sequence[EncodedImage], maps: Sequence[Matrix], coarse_correlation: float, options: SeriesOptions
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
    """
    images = [(one.volume.array, one.volume.grid) for one in visits]
    regions = [Region((one.encoding.brain, one.encoding.maps_grid)) for one in visits]
    current, threads = list(maps), options.thread_count
    grid = template_grid(images, current, options.spacing_mm)
    moved: list[float] = []
    prepared: list[Prepared] = []
    with one_blas_thread(), ThreadPoolExecutor(max(threads, 1)) as pool:
        while len(moved) < MAX_ROUNDS and (not moved or moved[-1] > STOP_MM):
            brain = mean_brain(visits, current, grid)
            shown = [on_grid(image, grid, one, "linear", threads) for image, one in zip(images, current, strict=True)]
            factors = gains(shown, resample(*brain, grid, np.eye(4)) > 0.5)
            for image, factor in zip(shown, factors, strict=True):
                image *= np.float32(factor)
            others = _Others(shown)
            back = [invert(one) for one in current]
            if not prepared:
                prepared = list(pool.map(prepare, images, regions))
                mean = prepare((others.without(0), grid), Region(brain))
                if is_coarse := is_too_noisy(prepared[0], mean, back[0], coarse_correlation):
                    prepared = list(pool.map(lambda a, b: prepare(a, b, is_coarse=True), images, regions))

            def one_visit(k: int, others=others, brain=brain, back=back, is_coarse=is_coarse) -> Aligned:
                mean = prepare((others.without(k), grid), Region(brain), is_coarse=is_coarse)
                return align(prepared[k], mean, back[k], options.dof)

            aligned = list(pool.map(one_visit, range(len(visits))))
            share = (len(visits) - 1) / len(visits)
            stepped = [
                compose(one, invert(exp_affine(share * log_affine(compose(found.visit_to_space, one)))))
                for one, found in zip(current, aligned, strict=True)
            ]
            stepped = recentred(stepped, current)
            middle = brain_points(brain)
            moved.append(max(_distance_mm(a, b, middle) for a, b in zip(stepped, current, strict=True)))
            current = stepped
    return Rounds(current, grid, mean_brain(visits, current, grid), factors, aligned, tuple(moved))


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
