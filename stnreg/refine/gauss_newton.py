"""Gauss-Newton on an affine between two locally normalised images, each sampled and looked up in the other.

Both directions count alike. Fixed samples x see the moving image at T x, moving samples see the fixed image at
T^-1 x; in each, the seen intensities are mapped to the sampled ones by a cubic of their own (a gain of either sign
for a plain contrast, a bend where the order of the tissues differs), fitted along. A step acts on fixed space, so
exchanging the images only renames the step, and the result is the inverse.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.matrix import Matrix
from stnreg.refine.freedom import UNIT_MM, directions, step
from stnreg.refine.pyramid import Level, transform

Array = np.ndarray
ROBUST = 2.0  # times the median residual: from here on a sample counts less
DEGREE = 3  # of the polynomial between intensities
MIN_SAMPLES = 200
MAX_HALVINGS = 4
UNSEEN_COST = 1.0  # of a sample beyond the other image: about that of a residual at the robust scale, and half more
SPREAD = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)


@dataclass(frozen=True)
class Samples:
    """Voxels of one image: where they lie, (3, N) LPS mm about `center`, and their values, (N,) float32."""

    points: Array
    values: Array
    center: Array


@dataclass(frozen=True)
class View:
    """What the samples of one image see in the other under some map.

    Parameters
    ----------
    normal : (12, 12) float64
        Mean of weight times Jacobian times its transpose, per squared robust scale, intensity map eliminated.
    pull : (12,) float64
        The same of the Jacobian times the residual: where the cost falls.
    residual : (n,) float32
        Sampled less mapped intensity, where something is seen.
    scale : float
        Robust scale of the residual.
    correlation : float
        Between samples and mapped intensities, robustly weighted, 0 to 1.
    share : float
        Of the samples, how many see the other image.
    """

    normal: Array
    pull: Array
    residual: Array
    scale: float
    correlation: float
    share: float

    def cost(self, scale: float) -> float:
        """Return the mean robust cost at a scale; a sample that sees nothing costs `UNSEEN_COST`."""
        if not len(self.residual):
            return UNSEEN_COST
        return self.share * float(np.log1p((self.residual / scale) ** 2).mean()) + (1 - self.share) * UNSEEN_COST


@dataclass(frozen=True)
class Scene:
    """One image at one level: what is sampled of it, and what the other one's samples see of it."""

    samples: Samples
    level: Level


@dataclass(frozen=True)
class Outcome:
    """Where the steps of one level ended: the map, how many steps, the last one's size, and the last views."""

    fixed_to_moving: Matrix
    steps: int
    last_step_mm: float
    views: tuple[View, View]

    @property
    def correlation(self) -> float:
        """Local correlation left, mean of both directions."""
        return mean_correlation(self.views)


def take_samples(level: Level, count: int) -> Samples:
    """Take up to `count` samples, spread evenly over the blocks to look at, the same ones every time.

    They lie between the voxels on purpose: where one image is sampled on its own lattice, noise makes the other
    one seem to fit best between lattice points.
    """
    place = np.flatnonzero(level.look)
    voxels = len(place) * abs(np.linalg.det((level.grid.lps_to_index @ level.look_grid.index_to_lps)[:3, :3]))
    count = min(count, int(voxels))
    order = np.arange(count)
    chosen = place[(order * (len(place) / max(count, 1))).astype(np.intp)]
    z, y, x = np.unravel_index(chosen, level.look.shape)
    # A sequence that fills the cube evenly (Roberts' R3).
    inside = (order * np.array(SPREAD)[:, None] + 0.5) % 1.0 - 0.5
    index = np.stack([x, y, z]) + inside
    linear, shift = level.look_grid.index_to_lps[:3, :3], level.look_grid.index_to_lps[:3, 3]
    center = linear @ index.mean(1) + shift if count else level.grid.center_lps
    points = (linear @ index + (shift - center)[:, None]).astype(np.float32)
    to_lps = np.eye(4)
    to_lps[:3, 3] = center
    values = level.seen_from(points, to_lps)
    seen = np.isfinite(values)
    return Samples(np.ascontiguousarray(points[:, seen]), values[seen], center)


def view(samples: Samples, other: Level, own_to_other: Matrix, own_to_step: Matrix, sign: float) -> View:
    """See the other image from the samples, and how that changes with a small step.

    Parameters
    ----------
    samples : Samples
        Of one image.
    other : Level
        The other one.
    own_to_other : (4, 4) float64
        Between their LPS spaces, mm.
    own_to_step : (4, 4) float64
        Takes own LPS points to the coordinates of a step: fixed points about its centre, in its units.
    sign : float
        +1 where a step moves the seen point along, -1 where it moves it back.
    """
    to_own = np.eye(4)
    to_own[:3, 3] = samples.center
    seen, gradient = other.seen_with_gradient(samples.points, own_to_other @ to_own)
    ok = np.isfinite(seen)
    count = int(ok.sum())
    share = count / max(len(ok), 1)
    if count < MIN_SAMPLES:
        return View(np.zeros((12, 12)), np.zeros(12), np.empty(0, np.float32), 1.0, 0.0, share)
    at, values = transform(own_to_step @ to_own, samples.points), samples.values
    if count < len(ok):
        seen, gradient, at, values = seen[ok], gradient[:, ok], at[:, ok], values[ok]
    powers = np.stack([seen**k for k in range(DEGREE + 1)])
    coefficients, weights, scale = _map_intensities(powers, values)
    mapped = coefficients @ powers
    slope = sum(k * coefficients[k] * powers[k - 1] for k in range(1, DEGREE + 1))
    # The gradient is pulled back to the space of the step: d/d(step) of the seen, mapped intensity.
    pulled = invert(own_to_step)[:3, :3].T.astype(np.float32) @ gradient
    pulled *= np.float32(sign) * slope
    columns = np.empty((13 + DEGREE, count), np.float32)
    for row in range(3):
        np.multiply(pulled[row], at, out=columns[4 * row : 4 * row + 3])
        columns[4 * row + 3] = pulled[row]
    columns[12:] = powers
    residual = values - mapped
    weighted = columns * weights
    normal, pull = _eliminate((weighted @ columns.T).astype(float), (weighted @ residual).astype(float), keep=12)
    factor = 1.0 / (count * scale**2)
    return View(normal * factor, pull * factor, residual, scale, _correlation(values, mapped, weights), share)


def both_views(
    fixed: Scene, moving: Scene, fixed_to_moving: Matrix, center_lps: Array, pool: Executor | None = None
) -> tuple[View, View]:
    """See the moving image from the fixed samples, and the other way round; at once where there is a pool."""
    fixed_to_step = np.diag([1 / UNIT_MM, 1 / UNIT_MM, 1 / UNIT_MM, 1.0])
    fixed_to_step[:3, 3] = -np.asarray(center_lps) / UNIT_MM
    moving_to_fixed = invert(fixed_to_moving)
    there = (fixed.samples, moving.level, fixed_to_moving, fixed_to_step, 1.0)
    back = (moving.samples, fixed.level, moving_to_fixed, fixed_to_step @ moving_to_fixed, -1.0)
    if pool is None:
        return view(*there), view(*back)
    waiting = pool.submit(view, *there)
    second = view(*back)
    return waiting.result(), second


def middle(fixed: Scene, moving: Scene, fixed_to_moving: Matrix) -> Array:
    """Return the fixed point half-way between both sets of samples' centres; the same place from either side."""
    return (fixed.samples.center + apply_affine(invert(fixed_to_moving), moving.samples.center)) / 2


def total_cost(views: tuple[View, View], scales_of: tuple[View, View]) -> float:
    """Return the cost of two views at the robust scales of two others."""
    return sum(v.cost(other.scale) for v, other in zip(views, scales_of, strict=True))


def descend(
    fixed: Scene,
    moving: Scene,
    fixed_to_moving: Matrix,
    *,
    dof: int,
    max_steps: int,
    stop_mm: float,
    pool: Executor | None = None,
) -> Outcome:
    """Step until nothing moves any more, or a step no longer helps.

    Parameters
    ----------
    fixed, moving : Scene
        Both images at one level.
    fixed_to_moving : (4, 4) float64
        The start, LPS mm, of at most `dof` degrees of freedom.
    dof, max_steps : int
        Degrees of freedom, and when to give up.
    stop_mm : float
        Root mean square motion of the fixed samples below which nothing moves.
    """
    center_lps = middle(fixed, moving, fixed_to_moving)
    current, views = fixed_to_moving, both_views(fixed, moving, fixed_to_moving, center_lps, pool)
    moved_mm, steps = np.inf, 0
    while steps < max_steps and moved_mm >= stop_mm:
        numbers = _solve(views, directions(current, dof))
        for _ in range(MAX_HALVINGS):
            trial = step(current, numbers, center_lps, dof)
            seen = both_views(fixed, moving, trial, center_lps, pool)
            if total_cost(seen, views) <= total_cost(views, views):
                break
            numbers = numbers / 2
        else:
            break
        moved_mm = motion_mm(fixed.samples, current, trial)
        current, views, steps = trial, seen, steps + 1
    return Outcome(current, steps, float(moved_mm), views)


def _map_intensities(powers: Array, values: Array) -> tuple[Array, Array, float]:
    """Fit the polynomial robustly; return its coefficients, the weights of the samples and the robust scale."""
    weights = np.ones_like(values)
    for _ in range(3):
        weighted = powers * weights
        normal = (weighted @ powers.T).astype(float)
        normal[np.diag_indices_from(normal)] *= 1 + 1e-6
        coefficients = np.linalg.solve(normal, (weighted @ values).astype(float)).astype(np.float32)
        distance = np.abs(values - coefficients @ powers)
        scale = max(ROBUST * float(np.median(distance)), 1e-4)
        weights = 1 / (1 + (distance / np.float32(scale)) ** 2)
    return coefficients, weights, scale


def _eliminate(normal: Array, pull: Array, keep: int) -> tuple[Array, Array]:
    """Remove all but the first `keep` unknowns from normal equations (Schur complement)."""
    cross, own = normal[:keep, keep:], normal[keep:, keep:].copy()
    own[np.diag_indices_from(own)] *= 1 + 1e-6
    solved = np.linalg.solve(own, np.c_[cross.T, pull[keep:]])
    return normal[:keep, :keep] - cross @ solved[:, :-1], pull[:keep] - cross @ solved[:, -1]


def _correlation(a: Array, b: Array, weights: Array) -> float:
    a_away, b_away = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    together = float((weights * a_away) @ b_away)
    apart = float((weights * a_away) @ a_away) * float((weights * b_away) @ b_away)
    return max(together, 0.0) / np.sqrt(apart) if apart > 0 else 0.0


def _solve(views: tuple[View, View], basis: Array) -> Array:
    """Return the Gauss-Newton step, twelve numbers in the span of `basis`."""
    normal = basis.T @ (views[0].normal + views[1].normal) @ basis
    pull = basis.T @ (views[0].pull + views[1].pull)
    # What the images do not determine stays put: least squares of smallest norm.
    return basis @ np.linalg.lstsq(normal, pull, rcond=1e-6)[0]


def mean_correlation(views: tuple[View, View]) -> float:
    """Return the local correlation, mean of both directions."""
    return (views[0].correlation + views[1].correlation) / 2


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
        to_own = np.eye(4)
        to_own[:3, 3] = own.samples.center
        seen = np.isfinite(other.level.seen_from(own.samples.points, own_to_other @ to_own))
        if seen.sum() < 4:
            return 0.0, 0.0
        spread = np.linalg.eigvalsh(np.cov(own.samples.points[:, seen].astype(float)))[0]
        voxel_mm3 = abs(np.linalg.det(own.level.look_grid.index_to_lps[:3, :3]))
        thinnest_mm = min(thinnest_mm, float(np.sqrt(max(spread, 0.0))))
        volume_ml = min(volume_ml, float(seen.mean() * own.level.look.sum() * voxel_mm3 / 1000))
    return thinnest_mm, volume_ml


def motion_mm(samples: Samples, a_to_b: Matrix, changed: Matrix) -> float:
    """Return the root mean square distance between where two maps put the samples, mm."""
    difference = (changed - a_to_b)[:3]
    moved = difference[:, :3] @ samples.points + (difference[:, :3] @ samples.center + difference[:, 3])[:, None]
    return float(np.sqrt((moved**2).sum(0).mean())) if len(samples.values) else 0.0
