"""Refinement of one head in a sharp and in a blurred image, such as MRI and PET: the blurred one is simulated.

A PET, a SPECT or a mean of many heads shows no folds, and its brain ends gradually. Its intensities are no function of
those of a sharp image, because blur mixes tissues: mutual information and local correlation are low, and a change of
scale makes up for part of the blur. So the sharp image is mapped to the contrast of the blurred one, voxel by voxel, by
a curve that is fitted to it, and blurred then. Of one head, the two agree almost as well as two scans of one contrast.

The curve is piecewise linear; there is one in the brain, and another around it. Because blur is linear, the image is a
sum of blurred parts of the sharp one. Their weights are the curve, and least squares gives them.
"""

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.affine import invert, nearest_dof
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import strain
from stnreg.registration.refine.gauss_newton import Outcome, Pass
from stnreg.registration.refine.one_person import LARGEST_STRAIN, SampledPair, run_pass, sample_both
from stnreg.registration.refine.parallel import Side
from stnreg.registration.refine.pyramid import PyramidLevel, build_levels, transform
from stnreg.registration.refine.region import BRAIN_SHARE, INNER_SHARE, Region, box_mean, crop, share_on
from stnreg.registration.refine.samples import middle
from stnreg.registration.refine.smoothness import blurred, smoothness_mm
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.trilinear import interpolate

Array = np.ndarray
LAST = Pass(2.0, 30_000, 8, 0.03)
ROUNDS = 2  # of fitting the curve and aligning; more change nothing
LEAST_MM = 4.0  # difference in smoothness below which nothing is simulated: contrasts differ by as much
WIDTHS_MM = (0.0, 4.0, 6.0, 8.0, 10.0, 12.0)  # of the blur, full width at half maximum
CHOICE_MM = 4.0  # voxels on which the blur is chosen
KNOTS, KNOTS_AROUND = 8, 4  # of the curves in the brain and around it
# At the end. One head 0.87 and more; two people 0.62 in PET, up to 0.86 in blurred T1, where `LARGEST_STRAIN` tells.
ONE_HEAD_CORRELATION = 0.85
HOPELESS = 0.8  # after the first round
LEAST_FIT = 0.85  # correlation of the curve with the blurred image at the start: one head 0.93 and more
RANGE_PERCENT, ROOM = (1.0, 99.0), 0.15  # of the intensities in the brain, and beyond, as a share of them
EVENED_MM = 45.0  # a bias field is constant over about this
MARGIN_MM = 8.0  # around the brain, where the curve is fitted
EVERY = 7  # n-th voxel that it is fitted to
SMALLEST = 1e-4  # singular value, relative to the largest, that is used


@dataclass(frozen=True)
class SimulatedHead:
    """One head, aligned by an image that was simulated.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Rigid, LPS mm.
    correlation : float
        Local correlation of the simulated image with the other, 0 to 1.
    blur_mm : float
        By how much the sharper image was blurred, full width at half maximum.
    steps : tuple of int
        Iterations of each round.
    """

    fixed_to_moving: Matrix
    correlation: float
    blur_mm: float
    steps: tuple[int, ...]


def refine_blurred(
    sides: tuple[Side, Side], levels: tuple[PyramidLevel, PyramidLevel], start: Matrix, pool: Executor | None
) -> SimulatedHead | None:
    """Refine a rigid transform between a sharp and a blurred image of one head; None if they are not that.

    Parameters
    ----------
    sides : pair of (image, Region)
        Averaged to the spacing of `LAST`.
    levels : pair of PyramidLevel
        Of both images there.
    start : (4, 4) float64
        fixed_to_moving, a few mm off, LPS mm.
    pool : Executor, optional
        A second thread for the other image.
    """
    smooth_mm = [smoothness_mm(level) for level in levels]
    if abs(smooth_mm[0] ** 2 - smooth_mm[1] ** 2) < LEAST_MM**2 or any(side[1].brain is None for side in sides):
        return None
    sharp = int(smooth_mm[0] > smooth_mm[1])
    target = sides[1 - sharp][0]
    current = nearest_dof(start, middle(*sample_both(levels, LAST.samples), start), 6)

    def sharp_to_other(fixed_to_moving: Matrix) -> Matrix:
        return invert(fixed_to_moving) if sharp else fixed_to_moving

    parts = _Parts.of(*sides[sharp])
    blur_mm, fit = parts.best_blur_mm(target, sharp_to_other(current))
    if blur_mm == 0 or fit < LEAST_FIT:
        return None
    parts, steps = parts.blurred(blur_mm), []
    for _ in range(ROUNDS):
        image = parts.image(parts.curve(target, sharp_to_other(current))[0])
        level = build_levels(image, [LAST.spacing_mm], sides[sharp][1])[0]
        pair = sample_both((levels[0], level) if sharp else (level, levels[1]), LAST.samples)
        outcome = run_pass(pair, current, 6, LAST, pool)
        current = outcome.fixed_to_moving
        steps.append(outcome.steps)
        if outcome.correlation < HOPELESS:
            return None
    if outcome.correlation < ONE_HEAD_CORRELATION or not keeps_shape(outcome, pair, pool):
        return None
    return SimulatedHead(current, outcome.correlation, blur_mm, tuple(steps))


def keeps_shape(rigid: Outcome, pair: SampledPair, pool: Executor | None) -> bool:
    """Return whether an affine would scale and shear no more than two scans of one head differ by."""
    affine = run_pass(pair, rigid.fixed_to_moving, 12, LAST, pool)
    return float(np.linalg.norm(strain(affine.fixed_to_moving))) <= LARGEST_STRAIN


@dataclass(frozen=True)
class _Parts:
    """A sharp image as parts that sum to one: where it lies between which knots of a curve, in the brain or around it.

    Attributes
    ----------
    shares : list of (z, y, x) float32
    grid : Grid
    region : Region
    """

    shares: list[Array]
    grid: Grid
    region: Region

    @classmethod
    def of(cls, image: ArrayOnGrid, region: Region) -> "_Parts":
        """Divide an image into parts."""
        values, grid = crop(np.nan_to_num(image[0]), image[1], region)
        brain = np.nan_to_num(share_on(region, values, grid))
        inside = brain > INNER_SHARE
        values = _evened(values, grid, inside)
        low, high = np.percentile(values[inside] if inside.any() else values, RANGE_PERCENT)
        room = ROOM * (high - low)
        low, high = max(low - 3 * room, 0.0), high + room  # what is dark around the brain is darker than in it
        place = np.clip((values - low) / max(high - low, 1e-30), 0, 1).astype(np.float32)
        soft = np.clip((brain - 0.2) / 0.6, 0, 1).astype(np.float32)
        return cls([*_between(place, KNOTS, soft), *_between(place, KNOTS_AROUND, 1 - soft)], grid, region)

    def blurred(self, width_mm: float) -> "_Parts":
        """Blur every part."""
        if width_mm == 0:
            return self
        return replace(self, shares=[blurred((share, self.grid), width_mm)[0] for share in self.shares])

    def coarse(self, spacing_mm: float) -> "_Parts":
        """Average to larger voxels."""
        means = [block_mean(share, self.grid, spacing_mm) for share in self.shares]
        return replace(self, shares=[mean for mean, _ in means], grid=means[0][1])

    def best_blur_mm(self, target: ArrayOnGrid, own_to_target: Matrix) -> tuple[float, float]:
        """Return the blur after which the parts fit another image best, and the correlation then."""
        coarse = self.coarse(CHOICE_MM)
        fits = {width: coarse.blurred(width).curve(target, own_to_target, every=1)[1] for width in WIDTHS_MM}
        return max(fits.items(), key=lambda found: found[1])

    def curve(self, target: ArrayOnGrid, own_to_target: Matrix, every: int = EVERY) -> tuple[Array, float]:
        """Fit the weight of each part, and return the weights and the correlation with the other image."""
        around = share_on(self.region.with_surroundings(MARGIN_MM), self.shares[0], self.grid)
        place = np.argwhere(around > BRAIN_SHARE)[::every]
        points = place[:, ::-1].T.astype(np.float32)
        to_target = target[1].lps_to_index @ own_to_target @ self.grid.index_to_lps
        values = interpolate(np.ascontiguousarray(np.nan_to_num(target[0]), np.float32), transform(to_target, points))
        ok = np.isfinite(values)
        z, y, x = place[ok].T
        design = np.stack([share[z, y, x] for share in self.shares], 1).astype(float)
        if len(design) < len(self.shares):
            return np.zeros(len(self.shares)), 0.0
        weights = np.linalg.lstsq(design, values[ok].astype(float), rcond=SMALLEST)[0]
        return weights, float(np.corrcoef(design @ weights, values[ok])[0, 1])

    def image(self, weights: Array) -> ArrayOnGrid:
        """Return the sum of the parts with these weights."""
        out = np.zeros(self.grid.shape, np.float32)
        for weight, share in zip(weights, self.shares, strict=True):
            out += np.float32(weight) * share
        return out, self.grid


def _between(place: Array, knots: int, within: Array) -> list[Array]:
    """Return the share of each voxel at each of some knots from 0 to 1, times a soft mask."""
    return [np.clip(1 - np.abs(place * (knots - 1) - k), 0, 1) * within for k in range(knots)]


def _evened(values: Array, grid: Grid, inside: Array) -> Array:
    """Divide an image by the mean of the brain nearby, which takes a bias field out."""
    reach = [max(round(EVENED_MM / 2 / float(s)), 1) for s in grid.spacing[::-1]]
    weight = inside.astype(np.float32)
    total = values * weight
    for _ in range(2):  # a box twice: smooth
        total, weight = box_mean(total, reach), box_mean(weight, reach)
    mean = float(values[inside].mean()) if inside.any() else 1.0
    near = np.where(weight > 1e-3, total / np.maximum(weight, 1e-6), mean)
    return (values / np.where(np.abs(near) > 1e-30, near, 1)).astype(np.float32)
