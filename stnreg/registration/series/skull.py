"""The scale of a visit by its skull and scalp, which keep their size while the brain changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import directions
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.linearization import linearize_both
from stnreg.registration.refine.pyramid import PyramidLevel
from stnreg.registration.refine.region import BRAIN_SHARE, Region, at_voxels
from stnreg.registration.refine.samples import SampledImage, middle

Array = np.ndarray
MAX_STEPS, STOP_MM = 6, 0.001
OCTANTS = 8


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
    """Return a level of the head whose samples lie outside the brain."""
    if region.brain is None:
        return level
    inside = at_voxels(region.brain, level.share_grid) > BRAIN_SHARE
    return replace(level, share=np.where(inside, np.float32(0), level.share))


def skull_scale(visit: SampledImage, others: SampledImage, visit_to_space: Matrix) -> SkullScale:
    """Fit a similarity to skull and scalp, and return its scale.

    The standard error is that of sums over the octants of the head, taken as independent: it counts noise, and what
    differs between parts of the head.

    Parameters
    ----------
    visit, others : SampledImage
        Samples outside the brain.
    visit_to_space : (4, 4) float64
        Current map, LPS mm.
    """
    found = minimize(visit, others, visit_to_space, dof=7, max_steps=MAX_STEPS, stop_mm=STOP_MM, newton=True)
    current = found.fixed_to_moving
    center = middle(visit, others, current)
    basis = directions(current, 7)
    normal = basis.T @ (found.linearized[0].normal + found.linearized[1].normal) @ basis
    shifts = []
    for octant in range(OCTANTS):
        own = _in_octant(visit, np.eye(4), center, octant), _in_octant(others, invert(current), center, octant)
        there, back = linearize_both(*own, current, center)
        rhs = basis.T @ (_share(own[0], visit) * there.rhs + _share(own[1], others) * back.rhs)
        shifts.append(np.linalg.lstsq(normal, rhs, rcond=1e-6)[0][3])
    error = 3 * float(np.sqrt(np.square(shifts).sum() * OCTANTS / (OCTANTS - 1)))
    return SkullScale(-float(np.log(np.linalg.det(current[:3, :3]))), error)


def _share(part: SampledImage, whole: SampledImage) -> float:
    return len(part.samples.values) / max(len(whole.samples.values), 1)


def _in_octant(image: SampledImage, to_visit: Matrix, center: Array, octant: int) -> SampledImage:
    """Keep the samples in one octant about a centre in the space of the visit."""
    points = apply_affine(to_visit @ image.samples.to_lps, image.samples.points.T) - center
    which = (points > 0) @ np.array([1, 2, 4]) == octant
    own = image.samples
    return replace(
        image,
        samples=replace(own, points=own.points[:, which], values=own.values[which], gradient=own.gradient[:, which]),
    )


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
