"""The thresholds of the verdict, chosen on outcomes by rules."""

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from stnreg.errors import DataError
from stnreg.models.calibration import Calibration
from stnreg.training.anatomy.outcomes import Outcomes

Array = np.ndarray
BEST = "middle of the range that best separates"
UNKNOWABLE = "two, mirrored"  # in a table of outcomes: nothing tells which side of a stranger is the left one
MIRRORED = "mirrored"
KEPT = ("repeat_mm", "min_common_share", "min_correlation", "min_partial_correlation")
"""Thresholds of the search and of the intensities, which do not depend on how exactly a network finds structures."""


@dataclass(frozen=True)
class Threshold:
    """One threshold as it was chosen.

    Attributes
    ----------
    value : float
    how : str
        The rule, and what it was chosen on.
    """

    value: float
    how: str


def separating_range(low: Array, high: Array) -> tuple[float, float, float] | None:
    """Return the range of thresholds that best tell low figures from high ones.

    Best is the largest smaller one of both shares: of `low` below the threshold, and of `high` at or above it.

    Parameters
    ----------
    low, high : (N,), (M,) float64

    Returns
    -------
    least, largest, share : float
        Any threshold above `least` up to `largest` is best, and `share` is the smaller share there. None where one of
        both kinds is missing, or a figure at the border is not finite.
    """
    if not len(low) or not len(high):
        return None
    low, high = (np.nan_to_num(values, nan=-1.0, posinf=np.inf) for values in (low, high))
    thresholds = np.unique(np.r_[low, high])
    share = np.array([min((low < t).mean(), (high >= t).mean()) for t in thresholds])
    best = np.flatnonzero(share == share.max())
    least, largest = thresholds[max(best[0] - 1, 0)], thresholds[best[-1]]
    return (float(least), float(largest), float(share.max())) if np.isfinite(largest) else None


@dataclass(frozen=True)
class Scores:
    """Scores of right and of failed registrations, each a (N,) float64 array; -1 where one is rejected whatever it is.

    Attributes
    ----------
    good, failed
        Of all.
    one_person_good, one_person_failed
        Of those that the refinement took for one person: the score as it is, whatever else is said of them.
    """

    good: Array
    failed: Array
    one_person_good: Array = field(default_factory=lambda: np.empty(0))
    one_person_failed: Array = field(default_factory=lambda: np.empty(0))


def choose_thresholds(found: Outcomes, scores: Scores | None = None) -> dict[str, Threshold]:
    """Choose every threshold of `Calibration`, by name.

    Parameters
    ----------
    found : Outcomes
    scores : Scores, optional
        Scores of a larger set of outcomes, refined ones too, to choose `min_score` and `min_one_person_score` on.
    """
    scores = scores or Scores(found.good_scores, found.failed_scores)
    chosen = {
        "min_score": choose_score(scores.good, scores.failed),
        "min_one_person_score": choose_score(scores.one_person_good, scores.one_person_failed, " of one person"),
        "whole_head_error_mm": middle_of(
            found.whole_error_mm,
            found.half_error_mm,
            f"{BEST} {len(found.whole_error_mm)} pairs of whole heads and {len(found.half_error_mm)} with half a head",
        ),
    }
    # A wrong pose that is accepted costs more than another search: the strict end of the range, rounded up.
    fit = separating_range(found.right_fit_mm, found.wrong_fit_mm)
    if fit is not None:
        how = f"strict end of the range that best separates {len(found.right_fit_mm)} right and "
        chosen["accept_mm"] = Threshold(np.ceil(100 * fit[0]) / 100, how + f"{len(found.wrong_fit_mm)} wrong poses")
    if len(found.right_stretch):
        how = f"the largest of {len(found.right_stretch)} right transforms, and a tenth more of what exceeds 1"
        chosen["max_stretch"] = Threshold(round(1 + 1.1 * (float(found.right_stretch.max()) - 1), 2), how)
    right = found.right_residual_mm[np.isfinite(found.right_residual_mm)]
    if len(right):
        how = f"twice the 95th percentile of {len(right)} right poses"
        chosen["max_residual_mm"] = Threshold(round(2 * float(np.percentile(right, 95)), 2), how)
    defaults = asdict(Calibration())
    known = {name: threshold for name, threshold in chosen.items() if threshold is not None}
    return {
        name: known.get(name, Threshold(value, "kept" if name in KEPT else "kept: too few outcomes to choose on"))
        for name, value in defaults.items()
    }


def choose_score(good: Array, failed: Array, of_whom: str = "") -> Threshold | None:
    """Choose the least score that is accepted, on scores of right and of failed registrations; None without both."""
    return middle_of(failed, good, f"{BEST} {len(good)} right and {len(failed)} failed registrations{of_whom}")


def middle_of(low: Array, high: Array, how: str) -> Threshold | None:
    """Return the middle of the range that best separates low figures from high ones; None without both."""
    found = separating_range(low, high)
    if found is None:
        return None
    return Threshold(
        round((found[0] + found[1]) / 2, 3), f"{how}: at least {100 * found[2]:.1f} % of each are on the right side"
    )


def read_outcomes(path: Path) -> Scores:
    """Read scores of right and failed registrations from a table; of one person where it has a column `same_person`.

    Raises
    ------
    DataError
        If it cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = [row for row in csv.DictReader(file) if row["kind"] != UNKNOWABLE]
        score = np.array([float(row["score"] or "nan") if row["gate"] == "True" else -1.0 for row in table])
        outcome = np.array([row["outcome"] for row in table])
        alone = np.array([float(row["score"] or "nan") for row in table])
        # A head that was mirrored in its file agrees with itself, and is rejected by its mirror.
        one = np.array([row.get("same_person") == "True" and MIRRORED not in row["kind"] for row in table], bool)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not a table of outcomes with kind, outcome, score and gate ({error!r})") from error
    good, failed = outcome == "good", outcome == "failed"
    return Scores(score[good], score[failed], alone[good & one], alone[failed & one])
