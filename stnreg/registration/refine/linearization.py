"""What the samples of one image see in the other under a map, how well it fits, and where it would fit better.

The seen intensities are mapped to the sampled ones by a cubic, fitted along: a gain of either sign for a plain
contrast, a bend where the order of the tissues differs.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import UNIT_MM
from stnreg.registration.refine.pyramid import Level, transform
from stnreg.registration.refine.samples import Samples, Scene

Array = np.ndarray
ROBUST = 2.0  # times the median residual: from here on a sample counts less
DEGREE = 3  # of the polynomial between intensities
MIN_SAMPLES = 200
UNSEEN_COST = 1.0  # of a sample beyond the other image: more than that of a residual at the robust scale


@dataclass(frozen=True)
class View:
    """What the samples of one image see in the other under some map.

    Parameters
    ----------
    normal : (12, 12) float64
        Mean of weight times Jacobian times its transpose, per squared robust scale, intensity map eliminated.
    cross : (12, 12) float64
        The same with the sampled image's own derivative for one of the two Jacobians. Their noise is not the same
        noise, so that near the end this is the truer curvature, and steps by it arrive at once.
    pull : (12,) float64
        The same of the Jacobian times the residual: where the cost falls.
    residual : (n,) float32
        Sampled less mapped intensity, where something is seen.
    scale : float
        Robust scale of the residual.
    correlation : float
        Between samples and mapped intensities, robustly weighted, 0 to 1.
    raw_correlation : float
        Between samples and seen intensities as they are, -1 to 1: the correlation itself where the contrast is alike.
    share : float
        Of the samples, how many see the other image.
    """

    normal: Array
    cross: Array
    pull: Array
    residual: Array
    scale: float
    correlation: float
    raw_correlation: float
    share: float

    def cost(self, scale: float) -> float:
        """Return the mean robust cost at a scale; a sample that sees nothing costs `UNSEEN_COST`."""
        if not len(self.residual):
            return UNSEEN_COST
        return self.share * float(np.log1p((self.residual / scale) ** 2).mean()) + (1 - self.share) * UNSEEN_COST


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
    seen, gradient = other.values_and_gradient_at(samples.points, own_to_other @ samples.to_lps)
    ok = np.isfinite(seen)
    count = int(ok.sum())
    share = count / max(len(ok), 1)
    if count < MIN_SAMPLES:
        return View(np.zeros((12, 12)), np.zeros((12, 12)), np.zeros(12), np.empty(0, np.float32), 1.0, 0.0, 0.0, share)
    at, values, own_gradient = transform(own_to_step @ samples.to_lps, samples.points), samples.values, samples.gradient
    if count < len(ok):
        seen, gradient, at, values, own_gradient = seen[ok], gradient[:, ok], at[:, ok], values[ok], own_gradient[:, ok]
    powers = np.ones((DEGREE + 1, count), np.float32)
    for k in range(DEGREE):
        np.multiply(powers[k], seen, out=powers[k + 1])
    coefficients, weights, scale = _map_intensities(powers, values)
    mapped = coefficients @ powers
    slope = sum(k * coefficients[k] * powers[k - 1] for k in range(1, DEGREE + 1))
    to_step = np.float32(sign) * invert(own_to_step)[:3, :3].T.astype(np.float32)
    columns = _columns((to_step @ gradient) * slope, at)
    own_columns = _columns(to_step @ own_gradient, at)
    residual = values - mapped
    weighted = columns * weights
    free = _without(powers, weights)
    factor = 1.0 / (count * scale**2)
    # Weights fall as residuals grow, so the cost curves less than weighted least squares with fixed weights does.
    curving = float((weights * (2 * weights - 1)).mean() / weights.mean())
    cross = (weighted @ free(own_columns).T).astype(float)
    return View(
        (weighted @ free(columns).T).astype(float) * (factor * curving),
        (cross + cross.T) / 2 * (factor * curving),
        (weighted @ free(residual[None]).T)[:, 0].astype(float) * factor,
        residual,
        scale,
        _correlation(values, mapped, weights),
        _correlation(values, seen, weights),
        share,
    )


def linearize_both(
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


def mean_correlation(views: tuple[View, View]) -> float:
    """Return the local correlation, mean of both directions."""
    return (views[0].correlation + views[1].correlation) / 2


def mean_raw_correlation(views: tuple[View, View]) -> float:
    """Return the correlation without a map of intensities, mean of both directions."""
    return (views[0].raw_correlation + views[1].raw_correlation) / 2


def total_cost(views: tuple[View, View], scales_of: tuple[View, View]) -> float:
    """Return the cost of two views at the robust scales of two others."""
    return sum(v.cost(other.scale) for v, other in zip(views, scales_of, strict=True))


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


def _columns(gradient: Array, at: Array) -> Array:
    """Return the derivative by the twelve numbers of a step, (12, n), of what has that gradient at those places."""
    columns = np.empty((12, at.shape[1]), np.float32)
    for row in range(3):
        np.multiply(gradient[row], at, out=columns[4 * row : 4 * row + 3])
        columns[4 * row + 3] = gradient[row]
    return columns


def _without(powers: Array, weights: Array) -> Callable[[Array], Array]:
    """Return a function that takes out of (k, n) rows what the intensity map can explain."""
    weighted = powers * weights
    own = (weighted @ powers.T).astype(float)
    own[np.diag_indices_from(own)] *= 1 + 1e-6

    def free(rows: Array) -> Array:
        shares = np.linalg.solve(own, (weighted @ rows.T).astype(float)).astype(np.float32)
        return rows - shares.T @ powers

    return free


def _correlation(a: Array, b: Array, weights: Array) -> float:
    a_away, b_away = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    together = float((weights * a_away) @ b_away)
    apart = float((weights * a_away) @ a_away) * float((weights * b_away) @ b_away)
    return together / np.sqrt(apart) if apart > 0 else 0.0
