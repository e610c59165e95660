"""Measure how smooth each of three alike scans is after resampling: none should be treated specially.

    python -m benchmarks.series.visits -o runs/visits
    python -m benchmarks.series.smoothness --visits runs/visits

The scans have one grid. Each is exchanged for white noise on its grid, which is resampled as the scan was, and the
width of that noise is measured in the head: what two scans differ by is not noise alone, as contrasts drift.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.series.people import RESULTS, Person, add_rows, is_done
from benchmarks.series.visits import ALIKE, chosen
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.registration.series.result import VisitResult

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
            assert result.template is not None
            spacing_mm = float(result.template.grid.spacing[0])
            noise = [result.resampled(_of_noise(visit, k)) for k, visit in enumerate(result.kept)]
            widths = [width_mm(one, bright, spacing_mm) for one in noise]
            known = {"reference": reference, "person": person.name}
            rows = [known | {"visit": name, "width_mm": width} for name, width in zip(names, widths, strict=True)]
            add_rows(SMOOTHNESS, COLUMNS, rows)


def _of_noise(visit: VisitResult, seed: int) -> VisitResult:
    """Return a visit with white noise in place of its image."""
    assert visit.image is not None
    noise = np.random.default_rng(seed).standard_normal(visit.image.array.shape, np.float32)
    return replace(visit, image=replace(visit.image, array=noise))


def width_mm(noise: np.ndarray, inside: np.ndarray, spacing_mm: float) -> float:
    """Return the width (FWHM) of noise (z, y, x).

    Noise blurred by a Gaussian of standard deviation s has the autocorrelation exp(-d^2 / 4 s^2), so that the variances
    of the differences between voxels at one and at two steps give s (Forman et al., 1995, use the first and the
    variance).
    """
    ratio = _step_variance(noise, inside, 1) / _step_variance(noise, inside, 2)
    # (1 - q) / (1 - q^4) with q the correlation of neighbours
    q = _root(lambda q: 1 / ((1 + q) * (1 + q**2)) - ratio)
    return spacing_mm * np.sqrt(8 * np.log(2)) / (2 * np.sqrt(-np.log(q)))


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
