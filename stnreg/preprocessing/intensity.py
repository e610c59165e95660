"""Normalise intensities to [0, 1]."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import UsageProblem


def minmax(array: NDArray[Any]) -> NDArray[np.float32]:
    """Map the smallest value to 0 and the largest to 1; a constant image becomes 0.

    Examples
    --------
    >>> minmax(np.array([2, 4, 6]))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _rescale(array, float(array.min()), float(array.max()))


def percentile(array: NDArray[Any], low: float = 0.5, high: float = 99.5, ceiling: float = 1.0) -> NDArray[np.float32]:
    """Map two percentiles to 0 and 1, and clip values outside: robust to a few bright voxels.

    Parameters
    ----------
    array : ndarray
        Any real type.
    low, high : float
        Percent, 0 to 100. If both are equal in value, minimum and maximum are used.
    ceiling : float
        Upper limit of the result; the upper percentile is 1.
    """
    lower, upper = (float(value) for value in np.percentile(array, (low, high)))
    if lower == upper:
        return minmax(array)
    return np.clip(_rescale(array, lower, upper), 0.0, ceiling)


NORMALISATIONS: dict[str, Callable[[NDArray[Any]], NDArray[np.float32]]] = {"minmax": minmax, "percentile": percentile}


def normalise(array: NDArray[Any], rule: str) -> NDArray[np.float32]:
    """Apply the rule of that name; UsageProblem if there is none."""
    if rule not in NORMALISATIONS:
        raise UsageProblem(f"expected a normalisation out of {', '.join(NORMALISATIONS)}, got {rule!r}")
    return NORMALISATIONS[rule](array)


def _rescale(array: NDArray[Any], lower: float, upper: float) -> NDArray[np.float32]:
    values = array.astype(np.float32)
    if upper == lower:
        return np.zeros_like(values)
    # Subtract first: 1e6 + small differences would lose them in one multiplication.
    values -= np.float32(lower)
    values *= np.float32(1.0 / (upper - lower))
    return values
