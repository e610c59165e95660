"""The limits of a pair network's verdict, measured on validation scans by the functions that `register` runs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stnreg.core.threads import default_threads
from stnreg.errors import DataError
from stnreg.models.calibration import PairCalibration
from stnreg.models.card import Weights
from stnreg.registration.by_pair_network import PairNetworkMethod
from stnreg.registration.refine.pair_type import is_same_person
from stnreg.training.anatomy.thresholds import BEST, Threshold, separating_range
from stnreg.training.limits import Line, Measured
from stnreg.training.pair_outcomes import PairOutcome, cases_of, outcomes_of

Array = np.ndarray
FIGURES = ("correlation", "overlap", "there_and_back_mm")


class MeasuredPairLimits(Measured):
    """Limits of `PairCalibration`, chosen on outcomes of the kind `PairOutcome`."""

    @property
    def pairs(self) -> int:
        """How many pairs were registered."""
        return len({one.case for one in self.outcomes})


def measure_pair_limits(
    weights: Weights,
    scans: Path,
    *,
    validation: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> MeasuredPairLimits:
    """Register validation scans rightly and wrongly, and choose the limits that tell the two apart.

    Parameters
    ----------
    weights : Weights
        A pair network.
    scans : Path
        Folder of scans, or PAIRS.csv (`stnreg.training.pair_outcomes.cases_of`).
    validation : int, optional
        Number of scans or pairs.
    threads, device
        Of the network.
    progress : callable
        Told how many pairs are done, of how many.

    Raises
    ------
    DataError
        If a file cannot be used, or no registration is right.
    """
    used = threads or default_threads()
    network = PairNetworkMethod().open(weights, used, device, 2)
    found = outcomes_of(network, cases_of(scans, validation), used, progress)
    return MeasuredPairLimits(weights, found, choose_pair_limits(found))


def choose_pair_limits(outcomes: Sequence[PairOutcome]) -> dict[str, Threshold]:
    """Choose every limit of `PairCalibration`, by name.

    The limit of the correlation is the middle of the range that best separates right registrations from failed ones.
    The others are asked of a registration besides, so they are set where a right one does not come: a failure that
    correlates well is told by them alone.

    Raises
    ------
    DataError
        If no registration is right, or none failed.
    """
    right, failed = ([one for one in outcomes if one.is_right is wanted] for wanted in (True, False))
    if not right or not failed:
        raise DataError(f"{len(right)} right and {len(failed)} failed registrations: calibrating needs both")

    def values(of: list[PairOutcome], name: str) -> Array:
        return np.array([getattr(one, name) for one in of], float)

    said = f"{len(right)} right and {len(failed)} failed registrations"
    found = separating_range(values(failed, "correlation"), values(right, "correlation"))
    assert found is not None  # both kinds are there, and all figures are finite
    how = f"{BEST} {said}: at least {100 * found[2]:.1f} % of each are on the right side"
    overlap = 0.8 * float(np.percentile(values(right, "overlap"), 1))
    estimated = [one for one in right if not one.misled and not is_same_person(one.correlation)] or right
    apart_mm = 1.5 * float(np.percentile(values(estimated, "there_and_back_mm"), 98))
    return {
        "min_correlation": Threshold(round((found[0] + found[1]) / 2, 3), how),
        "min_overlap": Threshold(round(overlap, 3), f"0.8 times the 1st percentile of the right ones, of {said}"),
        "max_there_and_back_mm": Threshold(
            round(apart_mm, 2),
            f"1.5 times the 98th percentile of {len(estimated)} right ones of two objects, as estimated",
        ),
    }


def pair_limits_table(found: MeasuredPairLimits) -> list[Line]:
    """Return the figures of right and failed registrations, every limit, and what the limits accept."""
    limits = PairCalibration(**{name: one.value for name, one in found.limits.items()})
    assert set(found.limits) == set(asdict(limits))
    lines = [*found.spread_of(("error_mm", *FIGURES)), *found.limits_beside()]
    for wanted, kind in ((True, "right"), (False, "failed")):
        of = [one for one in found.outcomes if one.is_right is wanted]
        lines.append((f"accepted, {kind}", sum(is_accepted(one, limits) for one in of), "", f"of {len(of)}"))
    return lines


def is_accepted(one: PairOutcome, limits: PairCalibration) -> bool:
    """Return whether the limits accept a registration, as `assess_objects` does."""
    agrees = one.misled or is_same_person(one.correlation) or one.there_and_back_mm <= limits.max_there_and_back_mm
    return one.correlation >= limits.min_correlation and one.overlap >= limits.min_overlap and agrees
