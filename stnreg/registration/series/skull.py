"""The scale of a visit by its skull and scalp, which keep their size while the brain changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.pyramid import PyramidLevel
from stnreg.registration.refine.region import Region, at_voxels, box_mean
from stnreg.registration.refine.samples import SampledImage
from stnreg.registration.series.scale_error import scale_error

Array = np.ndarray
MAX_STEPS, STOP_MM = 6, 0.001
AROUND_BRAIN_MM, NEAR_BRAIN = 5.0, 0.1  # no sample of the skull within this of the brain map


@dataclass(frozen=True)
class SkullScale:
    """The scale of a visit.

    Attributes
    ----------
    log_volume : float
        Logarithm of the volume factor of the skull from the template to the visit.
    error : float
        Its standard error.
    """

    log_volume: float
    error: float


def without_brain(level: PyramidLevel, region: Region) -> PyramidLevel:
    """Return a level of the head whose samples lie outside the brain and some millimetres around it.

    The fluid around a brain gets wider as the brain shrinks: its inner edge is no skull.
    """
    if region.brain is None:
        return level
    brain, grid = region.brain
    reach = [max(round(AROUND_BRAIN_MM / float(s)), 1) for s in grid.spacing[::-1]]
    near = box_mean(np.pad(brain, [(r, r) for r in reach]).astype(np.float32), reach)
    to_wide = np.eye(4)
    to_wide[:3, 3] = [-r for r in reach[::-1]]
    wide = Grid(near.shape[::-1], grid.index_to_lps @ to_wide)
    inside = at_voxels((near, wide), level.share_grid) > NEAR_BRAIN
    return replace(level, share=np.where(inside & (level.share > 0), np.float32(0), level.share))


def skull_scale(visit: SampledImage, others: SampledImage, visit_to_space: Matrix) -> SkullScale:
    """Fit a similarity to skull and scalp, and return its scale.

    Parameters
    ----------
    visit, others : SampledImage
        Samples outside the brain.
    visit_to_space : (4, 4) float64
        Current map, LPS mm.
    """
    found = minimize(visit, others, visit_to_space, dof=7, max_steps=MAX_STEPS, stop_mm=STOP_MM, newton=True)
    current = found.fixed_to_moving
    error = scale_error(visit, others, current, found.linearized, 7).volume
    return SkullScale(-float(np.log(np.linalg.det(current[:3, :3]))), error)


def relative_scales(found: Sequence[SkullScale | None]) -> list[SkullScale]:
    """Return the scale of each visit over the mean of all; empty if a visit has none.

    Each visit was compared with the mean of the others, which is smoother: that shifts the scale of all visits alike,
    and is taken out here. A visit that differs by d from the mean of all differs by d n / (n - 1) from the others.
    """
    known = [one for one in found if one is not None]
    if len(known) < len(found) or len(known) < 2:
        return []
    share = (len(known) - 1) / len(known)
    mean = float(np.mean([one.log_volume for one in known]))
    return [SkullScale(share * (one.log_volume - mean), share * one.error) for one in known]
