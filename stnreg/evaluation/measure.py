"""One value of a metric with its name and unit: what `evaluate` returns."""

from typing import NamedTuple


class Measure(NamedTuple):
    """One value of a metric.

    Parameters
    ----------
    metric : str
        As named on the command line: `dice`, `hd95`, ...
    label : str
        A label's code, `mean` over labels, `foreground`, `image`, or the part of a transform.
    value : float
        NaN where undefined.
    unit : str
        `mm`, `deg`, `nats`, `intensity^2`, `voxels`; `1` for ratios.
    """

    metric: str
    label: str
    value: float
    unit: str
