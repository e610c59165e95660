"""Confidence interval of a mean over pairs."""

import numpy as np
from numpy.typing import NDArray


def bootstrap_mean(
    values: NDArray, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float, int]:
    """Mean of the finite values and its percentile bootstrap interval.

    Parameters
    ----------
    values : (N,) float
        One value per pair; values that are not finite are ignored.
    seed : int
        Seed of the resampling; the same seed gives the same interval.
    draws : int
        Resamplings with replacement.
    level : float
        Coverage of the interval.

    Returns
    -------
    mean, low, high : float
        NaN without values. With one value, low and high equal the mean.
    count : int
        Number of values used.

    References
    ----------
    Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Examples
    --------
    >>> bootstrap_mean(np.array([2.0, 2.0, np.nan]))
    (2.0, 2.0, 2.0, 2)
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return float("nan"), float("nan"), float("nan"), 0
    rng = np.random.default_rng(seed)
    means = finite[rng.integers(0, len(finite), (draws, len(finite)))].mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return float(finite.mean()), float(low), float(high), len(finite)
