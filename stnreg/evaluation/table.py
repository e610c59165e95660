"""Evaluation of a table of pairs: metrics of each pair, then means with confidence intervals."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from stnreg.datasets.pair_table import Pair
from stnreg.evaluation.bootstrap import bootstrap_mean
from stnreg.evaluation.evaluate import evaluate
from stnreg.evaluation.measure import Measure
from stnreg.transforms.io.links import LinkLike, load_chain


class Summary(NamedTuple):
    """Mean of one metric over pairs, with its 95 % percentile bootstrap interval."""

    metric: str
    label: str
    value: float
    unit: str
    low: float
    high: float
    pairs: int


def evaluate_pair(pair: Pair, **options: object) -> list[Measure]:
    """Resample the moving image and labels of a row through its transform, and evaluate.

    Parameters
    ----------
    pair : Pair
        Without a transform the images are compared in the positions of their headers.
    **options
        As `evaluate`; `before` is ignored for a row without a transform.

    Returns
    -------
    measures : list of Measure

    Raises
    ------
    DataError
        If a file cannot be read.
    UsageProblem
        If a metric lacks its column.
    """
    transform = _whole(pair)
    return evaluate(
        pair.fixed,
        pair.moving,
        fixed_labels=pair.fixed_labels,
        moved_labels=pair.moving_labels,
        mask=pair.fixed_mask,
        transform=transform,
        truth=pair.truth,
        warp=True,
        **(options | {"before": bool(options.get("before")) and transform is not None}),
    )


def _whole(pair: Pair) -> LinkLike | None:
    """Return what takes fixed points to moving points: the warp, if there is one, and the transform after it."""
    links = [path for path in (pair.warp, pair.transform) if path is not None]
    return links[0] if len(links) == 1 else load_chain(links) if links else None


def summarise(measured: Iterable[Iterable[Measure]]) -> list[Summary]:
    """Average each metric over pairs; means over labels are kept, single labels are not.

    Parameters
    ----------
    measured : iterable of iterables of Measure
        One inner iterable per pair.

    Returns
    -------
    summary : list of Summary
        In order of first occurrence. Undefined values are ignored.
    """
    columns: dict[tuple[str, str, str], list[float]] = {}
    for measures in measured:
        for metric, label, value, unit in measures:
            if not label.isdecimal():
                columns.setdefault((metric, label, unit), []).append(value)
    return [
        Summary(metric, label, mean, unit, low, high, count)
        for (metric, label, unit), values in columns.items()
        for mean, low, high, count in [bootstrap_mean(np.array(values))]
    ]
