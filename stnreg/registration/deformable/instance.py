"""Instance optimisation: the last detail between two heads, by the local correlation of their intensities.

The network knows what heads have in common; what it leaves is seen in the pair alone. Both heads are brought halfway by
the network's velocity, and a residual velocity is found there by a few steps of gradient ascent on the squared local
correlation, in small windows, so that contrasts may differ. Each step is smoothed, as Greedy does (Yushkevich et al.,
Alzheimer's & Dementia 12, P126, 2016). Exchange the heads, and the residual changes its sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stnreg.core.threads import map_threads
from stnreg.geometry.grid import Grid
from stnreg.transforms.sampling import interpolate, slabs, voxel_points

Array = NDArray[np.float32]
FEW = 6
"""So many smoothings are done one by one; boxes in place of more of them are faster."""

BOXES = 3


@dataclass(frozen=True)
class InstanceSettings:
    """How the residual velocity is found.

    Attributes
    ----------
    steps : int
    more_steps : int
        Of a second look, once places close to a fold have been smoothed: there the first look has gone too far.
    rate : float
        Voxels that a step adds for a gradient of one: squared correlation per voxel. Heads that agree move little.
    longest_voxels : float
        The most that a step adds anywhere.
    smoothings : int
        How often a step is smoothed by weights 1/4, 1/2, 1/4 along each axis: twice is a Gaussian of one voxel.
    reach : int
        Windows have 2 reach + 1 voxels along each axis.
    noise : float
        Standard deviation below which a window counts as empty, as a share of the brain's range of intensities.
    of_one_sign : (float, float) or None
        How far local correlations must agree in their sign (size of `signs`) for the intensities to be followed: not at
        all up to the first, wholly from the second on, and in proportion between. None: always.
    """

    steps: int = 5
    more_steps: int = 3
    rate: float = 1.1
    longest_voxels: float = 1.0
    smoothings: int = 2
    reach: int = 1
    noise: float = 0.05
    of_one_sign: tuple[float, float] | None = (0.8, 0.9)

    def as_smooth_as(self, sigma_voxels: float) -> "InstanceSettings":
        """Return settings with steps smoothed by a Gaussian at least that wide: two smoothings are one voxel^2."""
        return replace(self, smoothings=max(self.smoothings, round(2 * sigma_voxels**2)))


ONE_PERSON = InstanceSettings(steps=30, more_steps=0, rate=3.0, reach=2, of_one_sign=None)
"""Where both images show one person: larger windows and more steps, from no deformation; what is left is small and
smooth."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Two heads in images that can be compared.

    Attributes
    ----------
    fixed, moving : (z, y, x) float32
        Normalised intensities on one grid.
    share : float
        How much of what they say is followed, 0 to 1.
    known : (z, y, x) float32 or None
        How well they are known, 0 to 1; None: everywhere.
    """

    fixed: Array
    moving: Array
    share: float = 1.0
    known: Array | None = None

    def cut(self, part: tuple[slice, ...]) -> "Shown":
        """Return a part of both images."""
        known = None if self.known is None else np.ascontiguousarray(self.known[part])
        fixed, moving = np.ascontiguousarray(self.fixed[part]), np.ascontiguousarray(self.moving[part])
        return replace(self, fixed=fixed, moving=moving, known=known)


def residual(
    shown: Sequence[Shown], weight: Array, settings: InstanceSettings | None = None, threads: int = 1
) -> Array:  # fmt: skip
    """Find what is left between two heads that have been brought halfway.

    Parameters
    ----------
    shown : sequence of Shown
        The same two heads, in one or several ways: each step is the mean of what these say, by their shares.
    weight : (z, y, x) float32
        How much each voxel counts, 0 to 1.
    settings : InstanceSettings, optional
    threads : int
        Of which two are used; the result is the same.

    Returns
    -------
    velocity : (3, z, y, x) float32
        Voxels, x, y, z components: fixed points at -v/2 meet moving points at +v/2. Zero where nothing has weight.
    """
    settings = settings or InstanceSettings()
    found = np.zeros((3, *weight.shape), np.float32)
    part = box_around(weight > 0, 2 * settings.reach + settings.smoothings + 6)
    total = sum(one.share for one in shown)
    if part is None or not total:
        return found
    weight = np.ascontiguousarray(weight[part])
    views = [one.cut(part) for one in shown if one.share]
    weights = [weight if view.known is None else weight * view.known for view in views]
    velocity = np.zeros((3, *weight.shape), np.float32)
    for _ in range(settings.steps):
        half = velocity * np.float32(0.5)
        step = np.zeros_like(velocity)
        for view, counts in zip(views, weights, strict=True):
            a, b = map_threads(moved, (view.fixed, view.moving), (-half, half), threads=threads)
            step += np.float32(view.share / total) * _smooth_ascent(a, b, counts, settings, threads)
        longest = float(np.sqrt(np.square(step).sum(0).max()))
        velocity += step * np.float32(min(settings.rate, settings.longest_voxels / max(longest, 1e-6)))
    found[(slice(None), *part)] = velocity * np.float32(min(total, 1.0))
    return found


def signs(
    fixed: Array, moving: Array, weight: Array, settings: InstanceSettings | None = None
) -> float:  # fmt: skip
    """Return the sum of local correlations over the sum of their sizes, -1 to 1.

    Two T1 images come near 1. T1 and T2 are negative where white matter borders on grey, and their size is near 1. T1
    and FLAIR come near 0: grey matter is darker than white matter in the one and brighter in the other, but fluid is
    dark in both, so that a window with all three may fit best in a wrong place. Parameters are those of `Shown` and
    `residual`.
    """
    settings = settings or InstanceSettings()
    _, _, cross, spread_a, spread_b = _moments(fixed, moving, settings.reach)
    correlation = weight * cross / np.sqrt(spread_a * spread_b + np.float32(settings.noise**4))
    return float(correlation.sum(dtype=np.float64)) / max(float(np.abs(correlation).sum(dtype=np.float64)), 1e-9)


def rising(value: float, low: float, high: float) -> float:
    """Return 0 up to `low`, 1 from `high` on, and what lies between in proportion."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def moved(image: Array, steps: Array) -> Array:
    """Sample an image (z, y, x) at x + steps(x), linearly; steps (3, z, y, x) in voxels, x first."""
    grid = Grid(image.shape[::-1], np.eye(4))
    found = np.empty_like(image)
    for slab in slabs(grid):
        at = voxel_points(grid, slab).astype(np.float32)
        at += steps[:, slab]
        found[slab] = interpolate(image[None], at.reshape(3, -1))[0].reshape(at.shape[1:])
    return found


def _smooth_ascent(
    a: Array, b: Array, weight: Array, settings: InstanceSettings, threads: int
) -> Array:  # fmt: skip
    """Return the direction of ascent, (3, z, y, x), smoothed: in two halves along z, which run side by side."""
    count, margin = len(a), 2 * settings.reach + 1 + _reach(settings.smoothings)

    def within(first: int, last: int) -> Array:
        start, stop = max(first - margin, 0), min(last + margin, count)
        step = _ascent(a[start:stop], b[start:stop], weight[start:stop], settings)
        return _blurred(step, settings.smoothings)[:, first - start : last - start]

    return np.concatenate(map_threads(within, (0, count // 2), (count // 2, count), threads=threads), axis=1)


def _ascent(a: Array, b: Array, weight: Array, settings: InstanceSettings) -> Array:
    """Return the direction (3, z, y, x) in which the velocity increases the weighted squared local correlation."""

    def mean(values: Array) -> Array:
        return _window_mean(values, settings.reach)

    noise = np.float32(settings.noise**4)
    mean_a, mean_b, cross, spread_a, spread_b = _moments(a, b, settings.reach)
    product = spread_a * spread_b + noise
    slope = weight * cross / product
    bend = slope * cross / product
    # How the correlation of all windows around a voxel changes with its own intensity.
    shared, pull_a, pull_b = mean(slope), mean(slope * mean_a), mean(slope * mean_b)
    held_a, held_b = bend * spread_b, bend * spread_a
    by_a = b * shared - pull_b - a * mean(held_a) + mean(held_a * mean_a)
    by_b = a * shared - pull_a - b * mean(held_b) + mean(held_b * mean_b)
    # The fixed head moves against the velocity, the moving head with it.
    return np.stack([by_b * _slope(b, axis) - by_a * _slope(a, axis) for axis in (2, 1, 0)])


def _moments(a: Array, b: Array, reach: int) -> tuple[Array, Array, Array, Array, Array]:
    """Return the means of both images over the windows, their covariance, and their variances."""
    mean_a, mean_b = _window_mean(a, reach), _window_mean(b, reach)
    cross = _window_mean(a * b, reach) - mean_a * mean_b
    spread_a = np.maximum(_window_mean(a * a, reach) - mean_a * mean_a, 0)
    spread_b = np.maximum(_window_mean(b * b, reach) - mean_b * mean_b, 0)
    return mean_a, mean_b, cross, spread_a, spread_b


def _window_mean(values: Array, reach: int) -> Array:
    """Average over windows of 2 reach + 1 voxels along each axis; zero beyond the borders."""
    out = values
    for axis in range(3):
        total = out.copy()
        for shift in range(1, reach + 1):
            low, high = _shifted(axis, shift)
            total[low] += out[high]
            total[high] += out[low]
        out = total
    out *= np.float32(1 / (2 * reach + 1) ** 3)
    return out


def _blurred(vectors: Array, smoothings: int) -> Array:
    """Smooth (3, z, y, x) so many times; where these are many, by three boxes of the same variance."""
    if smoothings <= FEW:
        for _ in range(smoothings):
            vectors = _smoothed(vectors)
        return vectors
    for _ in range(BOXES):
        vectors = np.stack([_window_mean(one, _reach(smoothings) // BOXES) for one in vectors])
    return vectors


def _reach(smoothings: int) -> int:
    """Return how many voxels so many smoothings reach."""
    if smoothings <= FEW:
        return smoothings
    # A smoothing has a variance of 1/2, three boxes of w voxels one of (w^2 - 1) / 4.
    return BOXES * max(round((float(np.sqrt(2 * smoothings + 1)) - 1) / 2), 1)


def _smoothed(vectors: Array) -> Array:
    """Smooth (3, z, y, x) by weights 1/4, 1/2, 1/4 along each axis; zero beyond the borders."""
    out = vectors
    for axis in (1, 2, 3):
        low, high = _shifted(axis, 1)
        half = out * np.float32(0.5)
        quarter = half * np.float32(0.5)
        half[low] += quarter[high]
        half[high] += quarter[low]
        out = half
    return out


def _slope(values: Array, axis: int) -> Array:
    """Differentiate by central differences, per voxel; zero at the borders."""
    out = np.zeros_like(values)
    inner = tuple(slice(1, -1) if a == axis else slice(None) for a in range(3))
    after = tuple(slice(2, None) if a == axis else slice(None) for a in range(3))
    before = tuple(slice(None, -2) if a == axis else slice(None) for a in range(3))
    np.subtract(values[after], values[before], out=out[inner])
    out *= np.float32(0.5)
    return out


def _shifted(axis: int, by: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what takes all but the last, and all but the first, `by` places along an axis."""
    before = (slice(None),) * axis
    return (*before, slice(None, -by)), (*before, slice(by, None))


def box_around(mask: NDArray[np.bool_], margin: int) -> tuple[slice, ...] | None:
    """Return the slices of the box around a mask (z, y, x) and a margin of voxels; None where the mask is empty."""
    out = []
    for axis in range(3):
        places = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        if not len(places):
            return None
        out.append(slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + margin + 1, mask.shape[axis])))
    return tuple(out)
