"""Sample points of an image at one pyramid level: quasi-random over its region, and deterministic."""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.pyramid import PyramidLevel
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
class SampledImage:
    """One image at one pyramid level: its samples, and the level that the other image's samples are compared with."""

    samples: Samples
    level: PyramidLevel


def take_samples(level: PyramidLevel, count: int, least_share: float = BRAIN_SHARE) -> Samples:
    """Draw up to `count` samples, evenly over the blocks above `least_share`; deterministic.

    They lie between voxel centres. At the voxel centres of one image, noise would bias the minimum of the cost to
    positions between the voxels of the other.
    """
    place = np.flatnonzero(level.share > least_share)
    voxels = len(place) * abs(np.linalg.det((level.grid.lps_to_index @ level.share_grid.index_to_lps)[:3, :3]))
    count = min(count, int(voxels))
    order = np.arange(count)
    chosen = place[(order * (len(place) / max(count, 1))).astype(np.intp)]
    z, y, x = np.unravel_index(chosen, level.share.shape)
    # A sequence that fills the cube evenly (Roberts' R3).
    offset = (order * np.array(SPREAD)[:, None] + 0.5) % 1.0 - 0.5
    index = np.stack([x, y, z]) + offset
    linear, shift = level.share_grid.index_to_lps[:3, :3], level.share_grid.index_to_lps[:3, 3]
    center = linear @ index.mean(1) + shift if count else level.grid.center_lps
    points = (linear @ index + (shift - center)[:, None]).astype(np.float32)
    to_lps = np.eye(4)
    to_lps[:3, 3] = center
    values, gradient = level.values_and_gradient_at(points, to_lps)
    finite = np.isfinite(values)
    return Samples(points[:, finite], values[finite], gradient[:, finite], center)


def middle(fixed: SampledImage, moving: SampledImage, fixed_to_moving: Matrix) -> Array:
    """Return the midpoint between the centres of both sets of samples, fixed LPS mm; symmetric in the images."""
    return (fixed.samples.center + apply_affine(invert(fixed_to_moving), moving.samples.center)) / 2


def extent(fixed: SampledImage, moving: SampledImage, fixed_to_moving: Matrix) -> tuple[float, float]:
    """Measure the overlap: each image's samples that lie inside the other image.

    Returns
    -------
    thinnest_mm : float
        Standard deviation along the thinnest axis; the smaller of both directions.
    volume_ml : float
        The smaller of both directions.
    """
    thinnest_mm, volume_ml = np.inf, np.inf
    for own, other, own_to_other in ((fixed, moving, fixed_to_moving), (moving, fixed, invert(fixed_to_moving))):
        inside = np.isfinite(other.level.values_at(own.samples.points, own_to_other @ own.samples.to_lps))
        if inside.sum() < 4:
            return 0.0, 0.0
        spread = np.linalg.eigvalsh(np.cov(own.samples.points[:, inside].astype(float)))[0]
        voxel_mm3 = abs(np.linalg.det(own.level.share_grid.index_to_lps[:3, :3]))
        thinnest_mm = min(thinnest_mm, float(np.sqrt(max(spread, 0.0))))
        volume_ml = min(volume_ml, float(inside.mean() * (own.level.share > BRAIN_SHARE).sum() * voxel_mm3 / 1000))
    return thinnest_mm, volume_ml


def motion_mm(fixed: SampledImage, moving: SampledImage, before: Matrix, after: Matrix) -> float:
    """Return the root mean square distance, mm, of the samples under two fixed_to_moving.

    The geometric mean of both directions, so that it is symmetric if the images differ in scale.
    """
    there = _distance_mm(fixed.samples, before, after)
    back = _distance_mm(moving.samples, invert(before), invert(after))
    return float(np.sqrt(there * back))


def _distance_mm(samples: Samples, a_to_b: Matrix, changed: Matrix) -> float:
    difference = (changed - a_to_b) @ samples.to_lps
    moved = difference[:3, :3] @ samples.points + difference[:3, 3:]
    return float(np.sqrt((moved**2).sum(0).mean())) if len(samples.values) else 0.0
