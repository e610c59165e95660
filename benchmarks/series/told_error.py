"""Derive the two constants of the told error of `stnreg series --change` from visits of the tuning anatomy.

    python -m benchmarks.series.visits -o runs/visits --people anatomy13-0
    python -m benchmarks.series.told_error --visits runs/visits

Without --visits the constants are derived from the pairs that are measured (benchmarks/results/series-tuning.csv).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.series.run import RESULTS, Person, load, measure_change
from benchmarks.series.tables import print_rows
from benchmarks.series.visits import chosen, is_tuned

TUNING = RESULTS / "series-tuning.csv"
MOST = 0.1  # mm, and share of the change: neither constant is larger


def constants(off: np.ndarray, random: np.ndarray, boundary: np.ndarray, change: np.ndarray) -> tuple[float, float]:
    """Return the shift of the boundary (mm) and the share of the change for which the errors are most likely.

    The errors are taken as normal, with the variance random^2 + (shift boundary)^2 + (share change)^2.

    Parameters
    ----------
    off : (N,) float
        Errors of the logarithm of the change.
    random : (N,) float
        Their standard errors by the residuals and by the skull.
    boundary : (N,) float
        Area of the boundary of the region over its volume, 1 / mm.
    change : (N,) float
        Logarithm of the change.
    """

    def cost(unknown: np.ndarray) -> float:
        variance = random**2 + (unknown[0] * boundary) ** 2 + (unknown[1] * change) ** 2
        return float((off**2 / variance + np.log(variance)).sum())

    starts = [(shift, share) for shift in (0.001, 0.004, 0.016) for share in (0.005, 0.02, 0.06)]
    found = [minimize(cost, start, method="Nelder-Mead", bounds=[(0, MOST)] * 2) for start in starts]
    shift, share = min(found, key=lambda one: one.fun).x
    return float(shift), float(share)


def columns(rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the parameters of `constants` from rows of a table of changes."""
    names = ("percent", "truth_percent", "random_percent", "boundary_per_mm")
    found, truth, random, boundary = np.array([[float(row[name]) for name in names] for row in rows]).T
    found, truth = np.log1p(found / 100), np.log1p(truth / 100)
    return found - truth, random / 100, boundary, truth


def main() -> None:
    """Measure the tuning pairs that are missing, and print the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--kinds", default="none,loss,growth")
    parser.add_argument("--textures", type=int, default=1, help="people per anatomy")
    parser.add_argument("--people", help="of all people only these")
    options = parser.parse_args()
    if options.visits:
        people = [Person(options.visits, name) for name in chosen(options) if is_tuned(name)]
        measure_change(people, options.kinds.split(","), TUNING)
    rows = load(TUNING)
    shift, share = constants(*columns(rows))
    off, random, boundary, change = columns(rows)
    told = np.sqrt(random**2 + (shift * boundary) ** 2 + (share * change) ** 2)
    within = [f"{100 * np.mean(np.abs(off) <= k * told):.0f} %" for k in (1, 2)]
    print_rows(
        ("pairs", "regions", "SHIFT_MM", "CHANGE_SHARE", "within 1 told error", "within 2"),
        [(str(len(rows) // 2), "brain, ventricles", f"{shift:.4f}", f"{share:.3f}", *within)],
    )


if __name__ == "__main__":
    main()
