"""Measure how smooth each of three alike scans is after resampling: none should be treated specially.

    python -m benchmarks.series.visits -o runs/visits
    python -m benchmarks.series.smoothness --visits runs/visits

The scans have one grid and one noise. The width of the noise of each is found from the differences between scans.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.series.people import RESULTS, Person, add_rows, is_done
from benchmarks.series.visits import ALIKE, chosen
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series

SMOOTHNESS = RESULTS / "series-smoothness.csv"
COLUMNS = ("reference", "person", "visit", "width_mm")
BRIGHT = 0.6  # of the typical voxel of the head: only voxels above it count


def measure(people: Sequence[Person]) -> None:
    """Measure in the mean space, and with the first visit as the reference."""
    names = [f"alike-{k + 1}" for k in range(ALIKE)]
    for person in people:
        for reference in ("unbiased", "first"):
            if is_done(SMOOTHNESS, reference=reference, person=person.name):
                continue
            options = SeriesOptions(threads=1, reference=reference)
            result = register_series([person.image(name) for name in names], names, options)
            shown = [result.resampled(visit) * np.float32(visit.gain) for visit in result.kept]
            mean = np.mean(shown, axis=0)
            bright = mean > BRIGHT * np.median(mean[mean > mean.mean()])
            widths = widths_mm(shown, bright, float(result.template.grid.spacing[0]))
            known = {"reference": reference, "person": person.name}
            rows = [known | {"visit": name, "width_mm": width} for name, width in zip(names, widths, strict=True)]
            add_rows(SMOOTHNESS, COLUMNS, rows)


def widths_mm(images: Sequence[np.ndarray], inside: np.ndarray, spacing_mm: float) -> list[float]:
    """Return the width (FWHM) of the noise of each of three images on one grid.

    Of the difference of two images only noise is left, of both. Three differences give the noise of each. Noise blurred
    by a Gaussian of standard deviation s has the autocorrelation exp(-d^2 / 4 s^2), so that the variances of the
    differences between voxels at one and at two steps give s (Forman et al., 1995, use the first and the variance).
    """
    pairs = list(combinations(range(3), 2))
    steps = {}
    for lag in (1, 2):
        of_pair = {pair: _step_variance(images[pair[0]] - images[pair[1]], inside, lag) for pair in pairs}
        total = sum(of_pair.values())
        steps[lag] = [total / 2 - of_pair[pair] for pair in reversed(pairs)]  # without the pair of the other two
    widths = []
    for one, two in zip(steps[1], steps[2], strict=True):
        ratio = one / two
        # (1 - q) / (1 - q^4) with q the correlation of neighbours
        q = _root(lambda q, ratio=ratio: 1 / ((1 + q) * (1 + q**2)) - ratio)
        widths.append(spacing_mm * np.sqrt(8 * np.log(2)) / (2 * np.sqrt(-np.log(q))))
    return widths


def _step_variance(image: np.ndarray, inside: np.ndarray, lag: int) -> float:
    """Return the mean square of differences between voxels `lag` apart, along all axes, both inside."""
    squares, count = 0.0, 0
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(lag, None), slice(None, -lag)
        both = inside[tuple(ahead)] & inside[tuple(behind)]
        squares += float(((image[tuple(ahead)] - image[tuple(behind)])[both].astype(float) ** 2).sum())
        count += int(both.sum())
    return squares / count


def _root(function: Callable[[float], float]) -> float:
    """Return where a falling function is zero, between 0 and 1."""
    low, high = 1e-6, 1 - 1e-6
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, required=True, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--textures", type=int, default=1, help="people per anatomy")
    parser.add_argument("--people", help="of all people only these, such as anatomy14-0,anatomy15-0")
    options = parser.parse_args()
    measure([Person(options.visits, name) for name in chosen(options)])


if __name__ == "__main__":
    main()
