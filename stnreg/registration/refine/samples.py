"""Where an image is sampled at one level: spread evenly over what is looked at, the same places every time."""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.pyramid import Level
from stnreg.registration.refine.region import BRAIN_SHARE

Array = np.ndarray
SPREAD = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)


@dataclass(frozen=True)
class Samples:
    """Samples of one image.

    Parameters
    ----------
    points : (3, N) float32
        LPS mm about `center`.
    values : (N,) float32
        The normalised image there.
    gradient : (3, N) float32
        Its derivative, per mm along the LPS axes.
    center : (3,) float64
        LPS mm.
    """

    points: Array
    values: Array
    gradient: Array
    center: Array

    @property
    def to_lps(self) -> Matrix:
        """(4, 4): `points` to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, 3] = self.center
        return matrix


@dataclass(frozen=True)
class Scene:
    """One image at one level: what is sampled of it, and what the other one's samples see of it."""

    samples: Samples
    level: Level


def take_samples(level: Level, count: int, least_share: float = BRAIN_SHARE) -> Samples:
    """Take up to `count` samples, spread evenly over the blocks to look at, the same ones every time.

    They lie between the voxels on purpose: where one image is sampled on its own lattice, noise makes the other
    one seem to fit best between lattice points.
    """
    place = np.flatnonzero(level.share > least_share)
    voxels = len(place) * abs(np.linalg.det((level.grid.lps_to_index @ level.share_grid.index_to_lps)[:3, :3]))
    count = min(count, int(voxels))
    order = np.arange(count)
    chosen = place[(order * (len(place) / max(count, 1))).astype(np.intp)]
    z, y, x = np.unravel_index(chosen, level.share.shape)
    # A sequence that fills the cube evenly (Roberts' R3).
    inside = (order * np.array(SPREAD)[:, None] + 0.5) % 1.0 - 0.5
    index = np.stack([x, y, z]) + inside
    linear, shift = level.share_grid.index_to_lps[:3, :3], level.share_grid.index_to_lps[:3, 3]
    center = linear @ index.mean(1) + shift if count else level.grid.center_lps
    points = (linear @ index + (shift - center)[:, None]).astype(np.float32)
    to_lps = np.eye(4)
    to_lps[:3, 3] = center
    values, gradient = level.values_and_gradient_at(points, to_lps)
    seen = np.isfinite(values)
    return Samples(points[:, seen], values[seen], gradient[:, seen], center)


def middle(fixed: Scene, moving: Scene, fixed_to_moving: Matrix) -> Array:
    """Return the fixed point half-way between both sets of samples' centres; the same place from either side."""
    return (fixed.samples.center + apply_affine(invert(fixed_to_moving), moving.samples.center)) / 2


def extent(fixed: Scene, moving: Scene, fixed_to_moving: Matrix) -> tuple[float, float]:
    """Measure what both images see of each other's samples.

    Returns
    -------
    thinnest_mm : float
        Standard deviation along its thinnest direction; the smaller of both.
    volume_ml : float
        The smaller of both.
    """
    thinnest_mm, volume_ml = np.inf, np.inf
    for own, other, own_to_other in ((fixed, moving, fixed_to_moving), (moving, fixed, invert(fixed_to_moving))):
        seen = np.isfinite(other.level.values_at(own.samples.points, own_to_other @ own.samples.to_lps))
        if seen.sum() < 4:
            return 0.0, 0.0
        spread = np.linalg.eigvalsh(np.cov(own.samples.points[:, seen].astype(float)))[0]
        voxel_mm3 = abs(np.linalg.det(own.level.share_grid.index_to_lps[:3, :3]))
        thinnest_mm = min(thinnest_mm, float(np.sqrt(max(spread, 0.0))))
        volume_ml = min(volume_ml, float(seen.mean() * (own.level.share > BRAIN_SHARE).sum() * voxel_mm3 / 1000))
    return thinnest_mm, volume_ml


def motion_mm(fixed: Scene, moving: Scene, before: Matrix, after: Matrix) -> float:
    """Return the root mean square distance, mm, between where two fixed-to-moving maps put the samples.

    The geometric mean of both directions: a scale between the images does not make it depend on which is which.
    """
    there = _distance_mm(fixed.samples, before, after)
    back = _distance_mm(moving.samples, invert(before), invert(after))
    return float(np.sqrt(there * back))


def _distance_mm(samples: Samples, a_to_b: Matrix, changed: Matrix) -> float:
    difference = (changed - a_to_b) @ samples.to_lps
    moved = difference[:3, :3] @ samples.points + difference[:3, 3:]
    return float(np.sqrt((moved**2).sum(0).mean())) if len(samples.values) else 0.0
