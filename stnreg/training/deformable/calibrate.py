"""The limits of a velocity network: at which deformations it is rejected, measured on validation heads.

They are measured by the functions that `register` runs, on right deformations and on failed ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stnreg.core.threads import default_threads
from stnreg.errors import DataError
from stnreg.models.calibration import DeformationLimits
from stnreg.models.card import Weights
from stnreg.registration.deformable.velocity import find_velocity_network
from stnreg.training.anatomy.thresholds import BEST, Threshold, separating_range
from stnreg.training.deformable.outcomes import REGISTERED, Deformations, Outcome
from stnreg.training.deformable.pack import VALIDATION_SCANS
from stnreg.training.limits import Line, Measured

Array = np.ndarray
PAIRS = 10  # of scans of two people
SEPARATES = 0.95  # least share of right and of failed ones on the right side, for a figure to tell them apart
BEYOND = 1.5  # times as far from perfect as right deformations are, where a figure does not tell them apart


class MeasuredLimits(Measured):
    """Limits of `DeformationLimits`, chosen on outcomes of the kind `Outcome`."""

    @property
    def pairs(self) -> int:
        """How many pairs of heads were deformed."""
        return len({one.pair for one in self.outcomes})


def measure_limits(
    weights: Weights,
    root: Path,
    *,
    validation: int | None = None,
    pairs: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> MeasuredLimits:
    """Deform validation heads rightly and wrongly, and choose the limits that tell the two apart.

    Parameters
    ----------
    weights : Weights
        A velocity network.
    root : Path
        As `stnreg train` takes it: `ixi/` and `labelmaps/`.
    validation : int, optional
        How many scans, the last by name, were kept for validation; 18 when left out.
    pairs : int, optional
        How many pairs of scans are deformed; 10 when left out.
    threads, device
        Of the networks.
    progress : callable
        Told how many pairs are done, of how many.

    Raises
    ------
    DataError
        If a file cannot be used, or no deformation is right.
    """
    used = threads or default_threads()
    network = find_velocity_network(str(weights.path), used, device, calibrated=False)
    count = validation or VALIDATION_SCANS
    found = Deformations(network, threads=used, device=device).run(root, count, pairs or PAIRS, progress)
    return MeasuredLimits(weights, found, choose_limits(found))


def choose_limits(outcomes: Sequence[Outcome]) -> dict[str, Threshold]:
    """Choose every limit of `DeformationLimits`, by name.

    A limit is the middle of the range that best separates right deformations from failed ones, where the figure tells
    them apart. Where it does not, for a wrong affine may leave a smooth map, or gain much and still not be right, it is
    what no right deformation comes near: `BEYOND` times as far from perfect as the worst twentieth of them, and for the
    gain, which is about nothing for two images of one head, as much as the largest loss. The agreement under the affine
    is chosen on the right deformations that began at the registered affine: `register` begins at no other.

    Raises
    ------
    DataError
        If no deformation is right.
    """
    right, failed = ([o for o in outcomes if o.is_right is wanted] for wanted in (True, False))
    if not right:
        raise DataError("no deformation is right: nothing to calibrate on")

    def values(of: list[Outcome], name: str) -> Array:
        return np.array([getattr(one, name) for one in of], float)

    said = f"{len(right)} right and {len(failed)} failed deformations"
    spread, after, gain = (values(right, name) for name in ("log_jacobian_sd", "agreement_after", "gain"))
    start = values([one for one in right if one.kind == REGISTERED], "agreement_before")
    largest, least = float(np.percentile(spread, 95)), float(np.percentile(after, 5))
    return {
        "max_log_jacobian_sd": _limit(
            spread, values(failed, "log_jacobian_sd"), said, BEYOND * largest, f"{BEYOND:g} times the 95th percentile"
        ),
        "min_agreement": _limit(
            values(failed, "agreement_after"),
            after,
            said,
            max(1 - BEYOND * (1 - least), 0.0),
            f"{BEYOND:g} times as far from 1 as the 5th percentile",
        ),
        "min_gain": _limit(
            values(failed, "gain"),
            gain,
            said,
            BEYOND * min(float(gain.min()), 0.0),
            f"{BEYOND:g} times the largest loss",
        ),
        "min_agreement_before": _limit(
            values(failed, "agreement_before"),
            start,
            f"{len(start)} right deformations from the registered affine and {len(failed)} failed ones",
            max(1 - BEYOND * (1 - float(np.percentile(start, 5))), 0.0) if len(start) else 0.0,
            f"{BEYOND:g} times as far from 1 as the 5th percentile",
        ),
    }


def _limit(low: Array, high: Array, said: str, beyond: float, rule: str) -> Threshold:
    """Return the middle of what separates low figures from high ones; `beyond` where nothing does well enough."""
    found = separating_range(low, high)
    if found is not None and found[2] >= SEPARATES:
        how = f"{BEST} {said}: at least {100 * found[2]:.1f} % of each are on the right side"
        return Threshold(round((found[0] + found[1]) / 2, 3), how)
    share = "" if found is None else f", which it does not tell apart ({100 * found[2]:.1f} %)"
    return Threshold(round(beyond, 3), f"{rule} of the right ones, of {said}{share}")


def limits_table(found: MeasuredLimits) -> list[Line]:
    """Return the figures of right and of failed deformations, and every limit."""
    assert set(found.limits) == set(asdict(DeformationLimits()))
    return [
        *found.spread_of(("dice", "log_jacobian_sd", "agreement_before", "agreement_after", "gain")),
        *found.limits_beside(),
    ]
