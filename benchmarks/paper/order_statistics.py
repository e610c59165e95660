"""Do orders differ by more than seeds do: a two-way layout, orders by seeds, where a seed means the same moves."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher_f
from scipy.stats import t as student_t

LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """Orders beside one of them.

    Attributes
    ----------
    less_reference : (K,) ndarray
        Mean over seeds less that of the reference order.
    half_width : float
        Half of the interval of each difference, for all of them together (Bonferroni).
    seed_spread : float
        Standard deviation that is left when the means of orders and of seeds are taken away: that of one training.
    p_value : float
        Of the hypothesis that all orders are the same (F test).
    """

    less_reference: np.ndarray
    half_width: float
    seed_spread: float
    p_value: float


def compare(values: np.ndarray, reference: int) -> Comparison:
    """Compare the orders `values` (orders, seeds) with the row `reference`.

    The noise is taken to be the same in all orders, so that few seeds of each are enough to know it.

    Examples
    --------
    >>> values = np.array([[1.0, 2.0, 3.0], [1.1, 1.9, 3.0], [5.0, 6.0, 7.1]])
    >>> found = compare(values, 0)
    >>> [bool(abs(less) > found.half_width) for less in found.less_reference]
    [False, False, True]
    """
    orders, seeds = values.shape
    means = values.mean(axis=1)
    left = values - means[:, None] - values.mean(axis=0) + values.mean()
    freedom = (orders - 1) * (seeds - 1)
    variance = float((left**2).sum()) / freedom
    quantile = student_t.ppf(1 - (1 - LEVEL) / 2 / max(orders - 1, 1), freedom)
    between = seeds * float(means.var(ddof=1))
    return Comparison(
        less_reference=means - means[reference],
        half_width=float(quantile * (2 * variance / seeds) ** 0.5),
        seed_spread=variance**0.5,
        p_value=float(fisher_f.sf(between / variance, orders - 1, freedom)),
    )
