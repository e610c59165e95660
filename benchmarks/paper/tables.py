"""The paper's tables printed from the rows of paper.csv, and beside them its own numbers, on its own data."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.paper.columns import COLUMNS
from benchmarks.paper.methods import METHODS, model_for

LEAST_PAIRS = 30  # of a cell that is printed
FIGURES = {
    "dice": ("Dice of the foreground (above 0.2 of the 99th percentile); higher is better", np.mean, 3),
    "hd_mm": ("Hausdorff distance of the foreground's surface, mm; lower is better", np.mean, 2),
    "hd95_mm": ("95th percentile of that distance, mm; lower is better", np.mean, 2),
    "mi_nats": ("Mutual information, nats, 64 bins, where both images are; higher is better", np.mean, 3),
    "label_dice": ("Mean Dice of the labels; higher is better", np.mean, 3),
    "error_mm": ("Distance from the known map over the head, mm, median over pairs; lower is better", np.median, 2),
    "seconds": ("Seconds a pair, images in memory, median over pairs", np.median, 1),
}
COLUMNS_OF_CSV = ("column", "pair", "method", *FIGURES, "note")
TIE = 0.002  # of Dice, and of mm of HD95
MI_LOSS_NATS = 0.01
MOST_MM = {"rotated": 1.5, "translated": 1.5, "rototranslated": 1.5, "longitudinal": 2.5, "moved20": 1.5}
"""Median error that is asked of the networks alone."""

PAPER_COLUMNS = ("synthetic", "rotated", "translated", "rototranslated", "random", "longitudinal")
PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "dice": {
        "none": (0.764, 0.880, 0.787, 0.821, 0.674, 0.751),
        "separate": (0.937, 0.960, 0.843, 0.878, 0.791, 0.825),
        "affine": (0.889, 0.891, 0.814, 0.855, 0.758, 0.837),
        "sitk-affine": (0.820, 0.893, 0.860, 0.887, 0.772, 0.816),
    },
    "hd_mm": {
        "separate": (17.68, 33.15, 37.15, 40.13, 70.98, 63.27),
        "affine": (18.13, 39.41, 39.75, 41.61, 65.23, 63.73),
        "sitk-affine": (19.43, 64.40, 43.14, 34.95, 74.20, 67.39),
    },
    "mi_nats": {
        "separate": (math.nan,) * 4 + (0.344, 0.547),
        "affine": (math.nan,) * 4 + (0.319, 0.538),
        "sitk-affine": (math.nan,) * 4 + (0.331, 0.535),
    },
}
"""Tables 4 to 6 of the paper as printed. Its distances carry no unit; its bins are not said."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows measured so far; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["note"] is not None]


class Cells:
    """The measured values by column, method and figure.

    Parameters
    ----------
    rows : sequence of dict
        Of paper.csv.
    least : int
        Cells of fewer pairs are left empty.
    """

    def __init__(self, rows: Sequence[dict[str, str]], least: int = LEAST_PAIRS) -> None:
        self.least = least
        self._values: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        for row in rows:
            own = self._values.setdefault((row["column"], row["method"]), {})
            own[row["pair"]] = {name: float(row[name]) if row[name] else math.nan for name in FIGURES}
        self.columns = list(dict.fromkeys([*COLUMNS, *(column for column, _ in self._values)]))
        self.failed = [row for row in rows if row["note"]]

    def pairs(self, column: str, method: str) -> int:
        """Return how many pairs were measured."""
        return len(self._values.get((column, method), {}))

    def values(self, column: str, method: str, figure: str) -> dict[str, float]:
        """Return the values of one cell by pair; empty where there are too few."""
        own = self._values.get((column, method), {})
        return {pair: figures[figure] for pair, figures in own.items()} if len(own) >= self.least else {}

    def figure(self, column: str, method: str, figure: str) -> float:
        """Return the value of one cell: a mean or a median; NaN where there is none."""
        values = np.array([value for value in self.values(column, method, figure).values() if not math.isnan(value)])
        return float(FIGURES[figure][1](values)) if len(values) else math.nan

    def difference(self, column: str, method: str, other: str, figure: str) -> float:
        """Return the mean difference of two methods over the pairs that both have; NaN where there are too few."""
        a, b = (self.values(column, name, figure) for name in (method, other))
        both = [a[pair] - b[pair] for pair in a if pair in b]
        return float(np.nanmean(both)) if len(both) >= self.least else math.nan


def show_figure(cells: Cells, figure: str) -> Iterable[str]:
    """Yield the lines of one table, and the paper's numbers under it where it has them."""
    title, _, digits = FIGURES[figure]
    columns = [c for c in cells.columns if any(not math.isnan(cells.figure(c, m, figure)) for m in METHODS)]
    yield title
    if columns:
        yield _line("", columns)
        for method, row in METHODS.items():
            yield _line(row.title, [_number(cells.figure(column, method, figure), digits) for column in columns])
        yield _line("pairs, at least", [str(min(filter(None, (cells.pairs(c, m) for m in METHODS)))) for c in columns])
    else:
        yield f"(no cell has {cells.least} pairs yet)"
    if figure in PUBLISHED:
        yield ""
        yield "As printed in the paper, on its own data:"
        yield _line("", PAPER_COLUMNS)
        for method, values in PUBLISHED[figure].items():
            yield _line(METHODS[method].title, [_number(value, digits) for value in values])


def show_bars(cells: Cells) -> Iterable[str]:
    """Yield how the two networks stand against SimpleITK in every column, and against what is asked of them."""
    for method in ("separate", "affine"):
        for column in PAPER_COLUMNS:
            dice, hd95, mi = (
                cells.difference(column, method, "sitk-affine", figure) for figure in ("dice", "hd95_mm", "mi_nats")
            )
            if math.isnan(dice):
                yield f"{method:9} {column:15} not measured yet"
                continue
            reached = dice > -TIE, hd95 < TIE, mi > -MI_LOSS_NATS
            words = (
                f"{name} {value:+.3f} {'reached' if is_reached else 'MISSED'}"
                for name, value, is_reached in zip(
                    ("dice", "hd95 mm", "MI nats"), (dice, hd95, mi), reached, strict=True
                )
            )
            model = model_for(method, column)
            yield f"{method:9} {column:15} less SimpleITK: {'; '.join(words)}" + (
                f" ({model})" if model != method else ""
            )
        for column, most_mm in MOST_MM.items():
            error = cells.figure(column, method, "error_mm")
            verdict = "not measured yet" if math.isnan(error) else ("reached" if error <= most_mm else "MISSED")
            yield f"{method:9} {column:15} median error {error:.2f} mm of {most_mm:g}: {verdict}"
        ours, theirs = (cells.figure("random", name, "label_dice") for name in (method, "sitk-affine"))
        if not math.isnan(ours):
            verdict = "reached" if ours >= theirs else "MISSED"
            yield f"{method:9} random          label Dice {ours:.3f}, SimpleITK {theirs:.3f}: {verdict}"
    for column in PAPER_COLUMNS:
        dice = cells.difference(column, "separate", "affine", "dice")
        if not math.isnan(dice):
            yield f"separate less affine, dice: {column} {dice:+.4f}"


def show_failures(cells: Cells) -> Iterable[str]:
    """Yield which engines gave up, and how often; their pairs count as not registered."""
    counts: dict[tuple[str, str], int] = {}
    for row in cells.failed:
        counts[row["column"], row["method"]] = counts.get((row["column"], row["method"]), 0) + 1
    for (column, method), count in sorted(counts.items()):
        yield f"{METHODS[method].title} gave up on {count} of {cells.pairs(column, method)} pairs of {column}"
    if not counts:
        yield "No engine gave up on a pair."


def _line(title: str, cells: Iterable[str]) -> str:
    return f"{title:17}" + "".join(f"{cell:>16}" for cell in cells)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
