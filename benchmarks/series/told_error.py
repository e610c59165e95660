"""Derive the two constants of the told error of `stnreg series --change` from visits of the tuning anatomies.

    python -m benchmarks.series.visits -o runs/visits --people anatomy03-0,anatomy05-0,anatomy09-0,anatomy13-0
    python -m benchmarks.series.told_error --visits runs/visits

Pairs of which a visit is missing are passed over. Without --visits the constants are derived from the pairs that are
measured (benchmarks/results/series-tuning.csv).
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.series.changes import CHANGE_COLUMNS, change_cases, change_rows
from benchmarks.series.people import RESULTS, Person, add_rows, is_done, load
from benchmarks.series.tables import print_rows
from benchmarks.series.visits import TUNED_ANATOMIES
from stnreg.registration.series.change import systematic_error

TUNING = RESULTS / "series-tuning.csv"
MORE = (("growth", ["still-1", "growth-0.1"]),)  # of several anatomies: their regions are too large or too small
MOST_SHIFT_MM, MOST_EDGE_MM, STEPS = 0.02, 0.5, 201  # neither constant is larger; how finely they are looked for
LIMIT = 0.95


@dataclass(frozen=True)
class Constants:
    """What errors tell of the constants, mm.

    Attributes
    ----------
    shift_mean, shift_limit : float
        How far boundaries seem to move: the mean, and what it lies below with a probability of `LIMIT`.
    edge_mean : float
        How far edges of regions lie off.
    """

    shift_mean: float
    shift_limit: float
    edge_mean: float


def constants(off: np.ndarray, random: np.ndarray, boundary: np.ndarray, change: np.ndarray) -> Constants:
    """Return how far boundaries seem to move, and how far edges of regions lie off: what the errors tell of.

    The errors are taken as normal, with the variance random^2 + boundary^2 (shift^2 + (edge change)^2). The constants
    are taken as equally likely before. Their mean is used, and not the maximum of their likelihood, which of few pairs
    is often 0. Of the shift the upper limit is used: where nothing changed the told error is nearly the shift alone,
    and one that is too small, because few pairs were measured, would make a change of it.

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
    likely /= likely.sum()
    below = np.cumsum(likely.sum(1))
    limit = float(np.interp(LIMIT, below, shift[:, 0]))
    return Constants(float((likely * shift).sum()), limit, float((likely * edge).sum()))


def columns(rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the parameters of `constants` from rows of a table of changes."""
    names = ("percent", "truth_percent", "random_percent", "boundary_per_mm")
    found, truth, random, boundary = np.array([[float(row[name]) for name in names] for row in rows]).T
    found, truth = np.log1p(found / 100), np.log1p(truth / 100)
    return found - truth, random / 100, boundary, truth


def measure(people: Sequence[Person], kinds: Sequence[str], minutes: float) -> None:
    """Measure the pairs whose visits are there."""
    began = time.process_time()
    for kind, visits in (*MORE, *change_cases(kinds)):
        for person in people:
            known = {"kind": kind, "person": person.name, "first": visits[0], "second": visits[1]}
            if time.process_time() - began > 60 * minutes:
                return
            if all(person.image(visit).is_file() for visit in visits) and not is_done(TUNING, **known):
                add_rows(TUNING, CHANGE_COLUMNS, change_rows(kind, person, visits))


def main() -> None:
    """Measure the tuning pairs that are missing, and print the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--kinds", default="none,loss,growth")
    parser.add_argument("--minutes", type=float, default=np.inf, help="of processor; after them, no pair is begun")
    options = parser.parse_args()
    if options.visits:
        names = [f"anatomy{number:02d}-0" for number in TUNED_ANATOMIES]
        measure(
            [Person(options.visits, name) for name in names if (options.visits / name).is_dir()],
            options.kinds.split(","),
            options.minutes,
        )
    rows = load(TUNING)
    found = constants(*columns(rows))
    off, random, boundary, change = columns(rows)
    told = np.hypot(random, systematic_error(boundary, change, found.shift_limit, found.edge_mean))
    within = [f"{100 * np.mean(np.abs(off) <= k * told):.0f} %" for k in (1, 2)]
    print_rows(
        (
            "pairs",
            "people",
            "mean shift mm",
            "SHIFT_MM: 95 % limit",
            "EDGE_MM: mean",
            "within 1 told error",
            "within 2",
        ),
        [
            (
                *(str(len(rows) // 2), str(len({row["person"] for row in rows}))),
                *(f"{found.shift_mean:.4f}", f"{found.shift_limit:.4f}", f"{found.edge_mean:.2f}"),
                *within,
            )
        ],
    )


if __name__ == "__main__":
    main()
