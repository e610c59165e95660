"""The CSV of the accuracy benchmark, a line per pair and method, and the figures that are taken from its lines."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

COLUMNS = ("row", "pair", "method", "error_mm", "p95_mm", "volume_pct", "dice", "oracle", "passed", "score", "status",
           "seconds", "cpu_s", "version", "weights", "day", "machine")  # fmt: skip
RESULTS = Path(__file__).parents[1] / "results"
FAILED_MM, FAILED_SHARE = 5.0, 0.6
Line = dict[str, str]


def append(table: Path, line: Mapping[str, object], columns: Sequence[str] = COLUMNS) -> None:
    """Add one line, in one piece: several processes do."""
    cells = (line.get(c) for c in columns)
    text = ",".join(f"{v:.5g}" if isinstance(v, float) else "" if v is None else str(v) for v in cells)
    with table.open("a") as file:
        file.write(text + "\n")


def read(table: Path) -> list[Line]:
    """Read the lines of a CSV; none where there is no such file."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write(table: Path, lines: list[Line], columns: Sequence[str] = COLUMNS) -> None:
    """Write a CSV anew."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def numbers(lines: list[Line], column: str, otherwise: float = np.nan) -> np.ndarray:
    """Return a column; `otherwise` where a method gave up."""
    return np.array([float(line[column]) if line[column] else otherwise for line in lines])


def failed(lines: list[Line]) -> np.ndarray:
    """Return on which pairs a method failed."""
    if is_people(lines):
        oracle = numbers(lines, "oracle", np.inf)
        return ~(numbers(lines, "dice", 0.0) >= FAILED_SHARE * oracle)
    return ~(numbers(lines, "error_mm", np.inf) <= FAILED_MM)


def is_people(lines: list[Line]) -> bool:
    """Return whether these pairs are of two people."""
    return any(line["dice"] for line in lines)


def figure(lines: list[Line]) -> np.ndarray:
    """Return what is compared: Dice, or the error in mm."""
    return numbers(lines, "dice", 0.0) if is_people(lines) else numbers(lines, "error_mm", np.inf)
