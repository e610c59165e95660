"""Linearize the residual between the samples of one image and the other image: normal equations, cost, correlation.

A cubic polynomial maps the intensities of the other image to those of the samples, and is fitted along. It covers
gains of either sign, and contrasts in which the order of the tissues differs.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import UNIT_MM
from stnreg.registration.refine.pyramid import PyramidLevel, transform
from stnreg.registration.refine.samples import SampledImage, Samples

Array = np.ndarray
ROBUST = 2.0  # Cauchy scale, in median absolute residuals
DEGREE = 3  # of the intensity polynomial
MIN_SAMPLES = 200
OUTSIDE_COST = 1.0  # of a sample outside the other image; a residual at the robust scale costs log 2


@dataclass(frozen=True)
class Linearization:
    """The normal equations of one direction under an affine.

    Parameters
    ----------
    normal : (12, 12) float64
        Gauss-Newton matrix: weighted mean of J J^T over the squared robust scale, intensity polynomial eliminated.
    cross : (12, 12) float64
        The same with the gradient of the sampled image in one of the two J, symmetrised. The noise of the two images
        is independent, so near the minimum this is the less biased Hessian. Zero unless it was asked for.
    rhs : (12,) float64
        Right-hand side: weighted mean of J times the residual, minus half the gradient of the cost.
    residual : (n,) float32
        Samples minus mapped intensities, for the samples inside the other image.
    scale : float
        Robust scale of the residual.
    correlation : float
        Between samples and mapped intensities, robustly weighted, 0 to 1.
    raw_correlation : float
        Between samples and unmapped intensities, -1 to 1. Equals `correlation` where the contrasts agree.
    overlap : float
        Fraction of the samples that lie inside the other image.
    """

    normal: Array
    cross: Array
    rhs: Array
    residual: Array
    scale: float
    correlation: float
    raw_correlation: float
    overlap: float

    def cost(self, scale: float) -> float:
        """Return the mean robust cost at a scale; a sample outside the other image costs `OUTSIDE_COST`."""
        if not len(self.residual):
            return OUTSIDE_COST
        return self.overlap * float(np.log1p((self.residual / scale) ** 2).mean()) + (1 - self.overlap) * OUTSIDE_COST


Linearizations = tuple[Linearization, Linearization]  # fixed samples in moving, moving samples in fixed


def linearize(
    samples: Samples,
    other: PyramidLevel,
    own_to_other: Matrix,
    own_to_step: Matrix,
    sign: float,
    *,
    newton: bool = False,
) -> Linearization:
    """Compare samples with the other image, and differentiate by the twelve parameters of an update.

    Parameters
    ----------
    samples : Samples
        Of one image.
    other : PyramidLevel
        The other one.
    own_to_other : (4, 4) float64
        Between their LPS spaces, mm.
    own_to_step : (4, 4) float64
        Takes own LPS points to the coordinates of an update: fixed points about its centre, in its units.
    sign : float
        +1 if an update moves the point in the other image forwards, -1 if backwards.
    newton : bool
        Whether `cross` is needed, which takes a quarter of the time.
    """
    theirs, gradient = other.values_and_gradient_at(samples.points, own_to_other @ samples.to_lps)
    ok = np.isfinite(theirs)
    count = int(ok.sum())
    overlap = count / max(len(ok), 1)
    if count < MIN_SAMPLES:
        zeros, nothing = np.zeros((12, 12)), np.empty(0, np.float32)
        return Linearization(zeros, zeros, np.zeros(12), nothing, 1.0, 0.0, 0.0, overlap)
    at, values = transform(own_to_step @ samples.to_lps, samples.points), samples.values
    if count < len(ok):
        theirs, gradient, at, values = theirs[ok], gradient[:, ok], at[:, ok], values[ok]
    powers = np.ones((DEGREE + 1, count), np.float32)
    for k in range(DEGREE):
        np.multiply(powers[k], theirs, out=powers[k + 1])
    coefficients, weights, scale = _map_intensities(powers, values)
    mapped = coefficients @ powers
    slope = sum(k * coefficients[k] * powers[k - 1] for k in range(1, DEGREE + 1))
    to_step = np.float32(sign) * invert(own_to_step)[:3, :3].T.astype(np.float32)
    columns = jacobian((to_step @ gradient) * slope, at)
    residual = values - mapped
    weighted = columns * weights
    free = _without(powers, weights)
    factor = 1.0 / (count * scale**2)
    # Second derivative of the Cauchy cost: smaller than that of least squares with fixed weights.
    curving = float((weights * (2 * weights - 1)).mean() / weights.mean())
    cross = np.zeros((12, 12))
    if newton:
        own_gradient = samples.gradient if count == len(ok) else samples.gradient[:, ok]
        half = (weighted @ free(jacobian(to_step @ own_gradient, at)).T).astype(float)
        cross = (half + half.T) / 2 * (factor * curving)
    return Linearization(
        (weighted @ free(columns).T).astype(float) * (factor * curving),
        cross,
        (weighted @ free(residual[None]).T)[:, 0].astype(float) * factor,
        residual,
        scale,
        _correlation(values, mapped, weights),
        _correlation(values, theirs, weights),
        overlap,
    )


def linearize_both(
    fixed: SampledImage,
    moving: SampledImage,
    fixed_to_moving: Matrix,
    center_lps: Array,
    pool: Executor | None = None,
    one_way: Callable[[Samples, PyramidLevel, Matrix, Matrix, float], Any] = linearize,
) -> Any:
    """Linearize fixed samples in the moving image and moving samples in the fixed image; in parallel with a pool."""
    fixed_to_step = np.diag([1 / UNIT_MM, 1 / UNIT_MM, 1 / UNIT_MM, 1.0])
    fixed_to_step[:3, 3] = -np.asarray(center_lps) / UNIT_MM
    moving_to_fixed = invert(fixed_to_moving)
    there = (fixed.samples, moving.level, fixed_to_moving, fixed_to_step, 1.0)
    back = (moving.samples, fixed.level, moving_to_fixed, fixed_to_step @ moving_to_fixed, -1.0)
    if pool is None:
        return one_way(*there), one_way(*back)
    waiting = pool.submit(one_way, *there)
    second = one_way(*back)
    return waiting.result(), second


def mean_correlation(linearized: Linearizations) -> float:
    """Return the local correlation, mean of both directions."""
    return (linearized[0].correlation + linearized[1].correlation) / 2


def mean_raw_correlation(linearized: Linearizations) -> float:
    """Return the correlation of unmapped intensities, mean of both directions."""
    return (linearized[0].raw_correlation + linearized[1].raw_correlation) / 2


def total_cost(linearized: Linearizations, scales_of: Linearizations) -> float:
    """Return the cost of both directions, at the robust scales of `scales_of`."""
    return sum(one.cost(other.scale) for one, other in zip(linearized, scales_of, strict=True))


def _map_intensities(powers: Array, values: Array) -> tuple[Array, Array, float]:
    """Fit the intensity polynomial robustly; return its coefficients, the sample weights and the robust scale."""
    weights = np.ones_like(values)
    for _ in range(3):
        weighted = powers * weights
        normal = (weighted @ powers.T).astype(float)
        normal[np.diag_indices_from(normal)] *= 1 + 1e-6
        coefficients = np.linalg.solve(normal, (weighted @ values).astype(float)).astype(np.float32)
        distance = np.abs(values - coefficients @ powers)
        scale = max(ROBUST * _median(distance), 1e-4)
        weights = 1 / (1 + (distance / np.float32(scale)) ** 2)
    return coefficients, weights, scale


def _median(values: Array) -> float:
    """Return what `np.median` does, in a fifth of the time: one partition; the other middle value is a maximum."""
    half = len(values) // 2
    parted = np.partition(values, half)
    if len(values) % 2:
        return float(parted[half])
    return float((parted[:half].max() + parted[half]) / np.float32(2))


def jacobian(gradient: Array, at: Array) -> Array:
    """Return the Jacobian by the twelve parameters of an update, (12, n), from gradients (3, n) at points (3, n)."""
    columns = np.empty((12, at.shape[1]), np.float32)
    for row in range(3):
        np.multiply(gradient[row], at, out=columns[4 * row : 4 * row + 3])
        columns[4 * row + 3] = gradient[row]
    return columns


def _without(powers: Array, weights: Array) -> Callable[[Array], Array]:
    """Return a function that projects the intensity polynomial out of (k, n) rows."""
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
