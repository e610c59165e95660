"""Derive the two constants of the told error of `stnreg series --change` from visits of the tuning anatomies.

    python -m benchmarks.series.visits -o runs/visits --people anatomy03-0,anatomy05-0,anatomy09-0,anatomy13-0
    python -m benchmarks.series.told_error --visits runs/visits

Pairs of which a visit is missing are passed over. Without --visits the constants are derived from the pairs that are
measured (benchmarks/results/series-tuning.csv).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.series.run import CHANGE_COLUMNS, RESULTS, Person, add_rows, change_cases, change_rows, is_done, load
from benchmarks.series.tables import print_rows
from benchmarks.series.visits import TUNED_ANATOMIES
from stnreg.registration.series.change import systematic_error

TUNING = RESULTS / "series-tuning.csv"
MORE = (("growth", "still-1", "growth-0.1"),)  # of several anatomies: their regions are too large or too small
MOST_SHIFT_MM, MOST_EDGE_MM, STEPS = 0.02, 0.5, 201  # neither constant is larger; how finely they are looked for


def constants(off: np.ndarray, random: np.ndarray, boundary: np.ndarray, change: np.ndarray) -> tuple[float, float]:
    """Return how far boundaries seem to move, and how far edges of regions lie off, mm: what the errors tell of.

    The errors are taken as normal, with the variance random^2 + boundary^2 (shift^2 + (edge change)^2). Returned is the
    mean of both over their likelihood, and not its maximum, which of few pairs is often 0.

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
    shift, edge = np.meshgrid(np.linspace(0, MOST_SHIFT_MM, STEPS), np.linspace(0, MOST_EDGE_MM, STEPS), indexing="ij")
    systematic = systematic_error(boundary, change, shift[..., None], edge[..., None])
    variance = random**2 + systematic**2
    cost = (off**2 / variance + np.log(variance)).sum(-1) / 2
    likely = np.exp(cost.min() - cost)
    return float((likely * shift).sum() / likely.sum()), float((likely * edge).sum() / likely.sum())


def columns(rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the parameters of `constants` from rows of a table of changes."""
    names = ("percent", "truth_percent", "random_percent", "boundary_per_mm")
    found, truth, random, boundary = np.array([[float(row[name]) for name in names] for row in rows]).T
    found, truth = np.log1p(found / 100), np.log1p(truth / 100)
    return found - truth, random / 100, boundary, truth


def measure(people: Sequence[Person], kinds: Sequence[str]) -> None:
    """Measure the pairs whose visits are there."""
    for kind, first, second in (*MORE, *change_cases(kinds)):
        for person in people:
            known = {"kind": kind, "person": person.name, "first": first, "second": second}
            if all(person.image(visit).is_file() for visit in (first, second)) and not is_done(TUNING, **known):
                add_rows(TUNING, CHANGE_COLUMNS, change_rows(kind, person, [first, second]))


def main() -> None:
    """Measure the tuning pairs that are missing, and print the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--kinds", default="none,loss,growth")
    options = parser.parse_args()
    if options.visits:
        names = [f"anatomy{number:02d}-0" for number in TUNED_ANATOMIES]
        measure(
            [Person(options.visits, name) for name in names if (options.visits / name).is_dir()],
            options.kinds.split(","),
        )
    rows = load(TUNING)
    shift, edge = constants(*columns(rows))
    off, random, boundary, change = columns(rows)
    told = np.hypot(random, systematic_error(boundary, change, shift, edge))
    within = [f"{100 * np.mean(np.abs(off) <= k * told):.0f} %" for k in (1, 2)]
    print_rows(
        ("pairs", "regions", "SHIFT_MM", "EDGE_MM", "within 1 told error", "within 2"),
        [(str(len(rows) // 2), "brain, ventricles", f"{shift:.4f}", f"{edge:.2f}", *within)],
    )


if __name__ == "__main__":
    main()
