"""The simulated people of `benchmarks.series`, and the tables of what is measured with them."""

import csv
import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert, mean_error_mm
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.encoding import encode

RESULTS = Path(__file__).parents[1] / "results"
MOST_ENCODED = 8  # visits that a person keeps in memory

Row = dict[str, object]


class Person:
    """The simulated visits of one person."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / name, name
        self._encoded: dict[str, tuple[EncodedImage, float]] = {}

    @cached_property
    def points(self) -> np.ndarray:
        """Points of the brain, (N, 3) LPS mm in the space of the anatomy."""
        return np.load(self.folder / "points.npy")

    def image(self, visit: str) -> Path:
        """Return the file of a visit."""
        return self.folder / f"{visit}.nii.gz"

    def encoded(self, visit: str) -> tuple[EncodedImage, float]:
        """Return a visit as its networks see it, and how long that took, seconds; made once."""
        if visit not in self._encoded:
            while len(self._encoded) >= MOST_ENCODED:
                del self._encoded[next(iter(self._encoded))]
            began = time.process_time()
            made = encode(self.image(visit), threads=1)
            self._encoded[visit] = made, time.process_time() - began
        return self._encoded[visit]

    def truth(self, visit: str) -> dict:
        """Return what is known of a visit."""
        return json.loads((self.folder / f"{visit}.json").read_text())

    def between(self, first: str, second: str) -> tuple[Matrix, np.ndarray]:
        """Return the true map between two visits, LPS mm, and points of the first one's brain."""
        a, b = (np.array(self.truth(visit)["head_to_visit"]) for visit in (first, second))
        return compose(b, invert(a)), apply_affine(a, self.points)

    def error_mm(self, first: str, second: str, found: Matrix) -> float:
        """Return the mean distance from the truth over the brain."""
        truth, points = self.between(first, second)
        return mean_error_mm(found, truth, points)


def still(*numbers: int) -> list[str]:
    """Name visits without change."""
    return [f"still-{number}" for number in numbers]


def load(path: Path) -> list[dict[str, str]]:
    """Return the rows that are measured."""
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def is_done(path: Path, **known: object) -> bool:
    """Return whether a row with these values is there."""
    return any(all(row[name] == str(value) for name, value in known.items()) for row in load(path))


def add_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows to a table, and show the last."""
    is_new = not path.is_file()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows([{name: _cell(value) for name, value in row.items()} for row in rows])
    print(rows[-1], flush=True)


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
