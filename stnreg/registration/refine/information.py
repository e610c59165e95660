"""Refinement by mutual information inside the brain and just around it, for two contrasts of one head.

Local correlation needs edges that both images show. A CT, a PET or a quantitative map has few of them inside the
brain; what they share with an MRI is which tissue is where. Samples are taken from the brain and `MARGIN_MM` around it,
so that its surface counts. Two people are not refined by it: their surfaces differ.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.gauss_newton import Outcome, Pass, minimize
from stnreg.registration.refine.linearization import linearize_both
from stnreg.registration.refine.mutual_information import inform
from stnreg.registration.refine.object_level import ObjectLevel, sample_object
from stnreg.registration.refine.parallel import Side, on_both
from stnreg.registration.refine.pyramid import check_image, shares, upright
from stnreg.registration.refine.region import Region, crop, share_on
from stnreg.registration.refine.samples import SampledImage, middle
from stnreg.resampling.block_mean import block_mean

Array = np.ndarray

MARGIN_MM = 10.0
PASSES = (Pass(8.0, 6_000, 12, 0.2), Pass(4.0, 12_000, 8, 0.1), Pass(2.0, 40_000, 10, 0.03))
TELLING = 1  # index of the pass at which one head is told from two
# Share of the information of an affine that a rigid transform keeps at least for one head. Most pairs of two people
# keep less; of two whose heads are nearly alike in size, some keep more.
ONE_HEAD_SHARE = 0.96
SURE_SHARE = 0.9  # where the insides of both brains share more than those of two people
LEAST_NATS = 0.3  # both directions together; less is shared under a wrong pose alone: 0.2, and a rigid one keeps it all
LITTLE_NATS = 0.75  # two people in two contrasts share 0.4 to 0.6, one head mostly 1.0 and more
# The same of samples inside the brains alone: the outlines of two stripped images share 1.0, whoever they show. Insides
# of two people share 0.1 to 0.6, of one head 0.3 to 1.4.
LITTLE_INSIDE_NATS, SURE_INSIDE_NATS = 0.5, 0.8
INNER_SHARE = 0.7  # of the brain map: where the range of the intensities is taken from
RANGE_PERCENT = (1.0, 99.0)
EVERY = 2  # n-th voxel along each axis
ROOM = 0.15  # of that range, to either side


@dataclass(frozen=True)
class InformedHead:
    """Two contrasts of one head, aligned by mutual information.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Rigid, LPS mm.
    steps : tuple of int
        Iterations of each pass.
    shares_little : bool
        Whether the images share no more information than those of two people may: then their local correlation is to
        say the same.
    """

    fixed_to_moving: Matrix
    steps: tuple[int, ...]
    shares_little: bool


def refine_one_head(
    sides: tuple[Side, Side], start: Matrix, affine: Matrix, pool: Executor | None
) -> InformedHead | None:
    """Refine a rigid transform by mutual information; None if the images show two heads.

    A head keeps its size and shape between two scans. So if an affine shares hardly more information than the best
    rigid transform does, the images show one head, and do not support more than six degrees of freedom.

    Parameters
    ----------
    sides : pair of (image, Region)
    start : (4, 4) float64
        fixed_to_moving, a few mm off, LPS mm.
    affine : (4, 4) float64
        The best affine so far, where the one that is compared starts.
    pool : Executor, optional
        A second thread for the other image.
    """
    spacings_mm = [p.spacing_mm for p in PASSES]
    levels = on_both(lambda image, region: informed_levels(image, region, spacings_mm), sides, pool)
    pairs = list(zip(*levels, strict=True))
    current, steps, shares_little = start, [], False
    for k, (pair, p) in enumerate(zip(pairs, PASSES, strict=True)):
        fixed, moving = (sample_object(level, p.samples) for level in pair)
        if k == 0:
            current = nearest_dof(current, middle(fixed, moving, current), 6)
        rigid = _run(fixed, moving, current, 6, p, pool)
        if k == TELLING:
            inside = _nats_inside(pair, sides, rigid.fixed_to_moving, p)
            if not shows_one_head(_nats(rigid), _nats(_run(fixed, moving, affine, 12, p, pool)), inside):
                return None
            shares_little = _nats(rigid) < LITTLE_NATS or inside < LITTLE_INSIDE_NATS
        current = rigid.fixed_to_moving
        steps.append(rigid.steps)
    return InformedHead(current, tuple(steps), shares_little)


def informed_levels(image: ArrayOnGrid, region: Region, spacings_mm: Sequence[float]) -> list[ObjectLevel]:
    """Average an image down to each spacing, and scale its intensities to the range of those inside the brain.

    Parameters
    ----------
    image : (array, Grid)
        Intensities, any real type.
    region : Region
    spacings_mm : sequence of float
    """
    around = region.with_surroundings(MARGIN_MM)
    means, grid = check_image(image)
    levels: dict[float, ObjectLevel] = {}
    low = high = np.nan
    for spacing_mm in sorted(spacings_mm):
        means, grid = upright(*block_mean(means, grid, spacing_mm))
        part, part_grid = crop(np.nan_to_num(means, copy=False), grid, around)
        if not levels:  # at the finest
            low, high = _range(part, part_grid, region)
        values = np.clip((part - low) / max(high - low, 1e-30), 0, 1).astype(np.float32)
        blocks, blocks_grid, share = shares(part, part_grid, around)
        values[np.isnan(share)] = np.nan
        levels[spacing_mm] = ObjectLevel(values, part_grid, blocks, blocks_grid, outline=None)
    return [levels[spacing_mm] for spacing_mm in spacings_mm]


def _range(values: Array, grid: Grid, region: Region) -> tuple[float, float]:
    """Return the range of the intensities inside the brain, with some room; skull and air may lie outside it."""
    few = values[::EVERY, ::EVERY, ::EVERY]
    few_grid = Grid(few.shape[::-1], grid.index_to_lps @ np.diag([EVERY, EVERY, EVERY, 1.0]))
    inside = few[np.nan_to_num(share_on(region, few, few_grid)) > INNER_SHARE]
    low, high = np.percentile(inside if len(inside) else few, RANGE_PERCENT)
    room = ROOM * (high - low)
    return float(low - room), float(high + room)


def _run(fixed: SampledImage, moving: SampledImage, start: Matrix, dof: int, p: Pass, pool: Executor | None) -> Outcome:
    return minimize(fixed, moving, start, dof=dof, max_steps=p.max_steps, stop_mm=p.stop_mm, pool=pool, one_way=inform)


def _nats(outcome: Outcome) -> float:
    return _both_ways(outcome.linearized)


def _nats_inside(levels: Sequence[ObjectLevel], sides: tuple[Side, Side], fixed_to_moving: Matrix, p: Pass) -> float:
    """Return the mutual information inside both brains, nats: around stripped ones there is only their outline."""

    def inside(level: ObjectLevel, region: Region) -> SampledImage:
        share, share_grid, _ = shares(level.values, level.grid, region)
        return sample_object(replace(level, share=share, share_grid=share_grid), p.samples)

    fixed, moving = (inside(level, region) for level, (_, region) in zip(levels, sides, strict=True))
    center_lps = middle(fixed, moving, fixed_to_moving)
    return _both_ways(linearize_both(fixed, moving, fixed_to_moving, center_lps, one_way=inform))


def _both_ways(linearized: Any) -> float:
    return float(linearized[0].nats + linearized[1].nats)


def shows_one_head(rigid_nats: float, affine_nats: float, inside_nats: float) -> bool:
    """Return whether two images show one head, by what they share under the best rigid transform and affine.

    Parameters
    ----------
    rigid_nats, affine_nats : float
        Mutual information, the sum of both directions.
    inside_nats : float
        Of the insides of the brains alone, under the rigid transform.
    """
    share = SURE_SHARE if inside_nats >= SURE_INSIDE_NATS else ONE_HEAD_SHARE
    return rigid_nats >= max(LEAST_NATS, share * affine_nats)
