"""Measure `stnreg series` on simulated visits with a known truth, and other tools on the same visits.

    python -m benchmarks.series.visits -o runs/visits
    python -m benchmarks.series.run --visits runs/visits --what transforms,peers,change,cost

A run that was stopped continues: finished cases are in benchmarks/results/series*.csv. Seconds are of the processor,
on one thread.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from benchmarks.series.visits import GROWTHS, LOSSES, chosen, is_tuned
from stnreg.geometry.affine import apply_affine, compose, invert, mean_error_mm
from stnreg.geometry.matrix import Matrix
from stnreg.registration.encoding import encode
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.register import register_pair
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.transforms.io.files import load_transform

RESULTS = Path(__file__).parents[1] / "results"
TRANSFORMS, CHANGES = RESULTS / "series.csv", RESULTS / "series-change.csv"
COST = RESULTS / "series-cost.csv"
TRANSFORM_COLUMNS = ("kind", "person", "visits", "method", "first", "second", "error_mm", "transitivity_mm", "seconds")
CHANGE_COLUMNS = (
    *("kind", "person", "first", "second", "region", "percent", "truth_percent"),
    *("random_percent", "boundary_per_mm", "seconds"),
)
COST_COLUMNS = ("change", "person", "visits", "seconds", "peak_mb")
SIZES = (2, 3, 4, 6)
PEERS = ("greedy-rigid", "sitk-rigid")
STILL_PAIRS = ((1, 2), (3, 4), (5, 6), (1, 4), (2, 5), (3, 6), (1, 3), (2, 4), (1, 5), (2, 6))

Row = dict[str, object]


class Person:
    """The simulated visits of one person."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / name, name

    @cached_property
    def points(self) -> np.ndarray:
        """Points of the brain, (N, 3) LPS mm in the space of the anatomy."""
        return np.load(self.folder / "points.npy")

    def image(self, visit: str) -> Path:
        """Return the file of a visit."""
        return self.folder / f"{visit}.nii.gz"

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


def transform_cases() -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and the visits of each series."""
    for size in SIZES:
        yield "no change", still(*range(1, size + 1))
    yield "2 % loss", ["still-1", "loss-0.02", "still-3"]


def measure_transforms(people: Sequence[Person]) -> None:
    """Measure series, and our own pairwise registration of the same visits."""
    for kind, visits in transform_cases():
        for person in people:
            done = is_done(TRANSFORMS, kind=kind, person=person.name, visits=len(visits), method="series")
            if not done:
                add_rows(TRANSFORMS, TRANSFORM_COLUMNS, _series_rows(kind, person, visits))


def _series_rows(kind: str, person: Person, visits: list[str]) -> list[Row]:
    began = time.process_time()
    encoded = [encode(person.image(visit), threads=1) for visit in visits]
    result = register_series(encoded, visits, SeriesOptions(threads=1))
    seconds = (time.process_time() - began) / len(visits)
    known = {"kind": kind, "person": person.name, "visits": len(visits)}
    if [visit.name for visit in result.kept] != visits:
        raise SystemExit(f"{person.name}: {[(v.name, v.reason) for v in result.visits]}")
    off = max(
        (
            mean_error_mm(compose(result.between(b, c), result.between(a, b)), result.between(a, c), person.points)
            for a, b, c in permutations(visits, 3)
        ),
        default=0.0,
    )
    rows: list[Row] = []
    pairwise: dict[tuple[str, str], Matrix] = {}
    options = RegistrationOptions(dof=6, threads=1)
    for (a, one), (b, other) in combinations(zip(visits, encoded, strict=True), 2):
        pairwise[a, b] = register_pair(one, other, options).fixed_to_moving
        for method, found in (("series", result.between(a, b)), ("register", pairwise[a, b])):
            row = known | {"method": method, "first": a, "second": b, "error_mm": person.error_mm(a, b, found)}
            if method == "series":
                row |= {"transitivity_mm": off, "seconds": seconds}
            rows.append(row)
    return rows


def measure_peers(people: Sequence[Person]) -> None:
    """Measure other tools, each visit to the first one."""
    for kind, visits in (("no change", still(1, 2, 3)), ("2 % loss", ["still-1", "loss-0.02"])):
        for person in people:
            for method in PEERS:
                for visit in visits[1:]:
                    if not is_done(TRANSFORMS, kind=kind, person=person.name, method=method, second=visit):
                        add_rows(TRANSFORMS, TRANSFORM_COLUMNS, [_peer_row(kind, person, method, visits[0], visit)])


def _peer_row(kind: str, person: Person, method: str, first: str, second: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.tfm"
        words = ["baseline", person.image(first), person.image(second), "-t", out, "--method", method, "--threads", "1"]
        began = _children_seconds()
        subprocess.run([sys.executable, "-m", "stnreg", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
        seconds = _children_seconds() - began
        found = load_transform(out)
    row = {"kind": kind, "person": person.name, "visits": 2, "method": method, "first": first, "second": second}
    return row | {"error_mm": person.error_mm(first, second, found), "seconds": seconds}


def change_cases(kinds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the kind and the two visits of each pair."""
    for k in range(max(len(STILL_PAIRS), len(LOSSES), len(GROWTHS))):
        if "none" in kinds and k < len(STILL_PAIRS):
            yield "none", *still(*STILL_PAIRS[k])
        if "loss" in kinds and k < len(LOSSES):
            yield "loss", f"still-{1 + k % 4}", f"loss-{LOSSES[k]:g}"
        if "growth" in kinds and k < len(GROWTHS):
            yield "growth", f"still-{1 + k % 4}", f"growth-{GROWTHS[k]:g}"
    if "scale" in kinds:
        yield "scale", "still-1", "scale-1.003"


def measure_change(people: Sequence[Person], kinds: Sequence[str]) -> None:
    """Measure the change between two visits, of people whose anatomy it was not tuned with."""
    for kind, first, second in change_cases(kinds):
        for person in people:
            if not is_done(CHANGES, kind=kind, person=person.name, first=first, second=second):
                add_rows(CHANGES, CHANGE_COLUMNS, change_rows(kind, person, [first, second]))


def change_rows(kind: str, person: Person, visits: list[str]) -> list[Row]:
    """Measure the change between two visits of a person: a row for each region."""
    began = time.process_time()
    encoded = [encode(person.image(visit), threads=1) for visit in visits]
    result = register_series(encoded, visits, SeriesOptions(threads=1, change=True))
    seconds = (time.process_time() - began) / 2
    before, after = (person.truth(visit)["volumes"] for visit in visits)
    rows: list[Row] = []
    for region, name in (("brain", "tissue"), ("lateral_ventricles", "ventricles")):
        percent, _ = result.change_percent(region, *result.kept)
        skulls = [visit.skull_error or 0.0 for visit in result.kept]
        random = float(np.linalg.norm([result.changes.error_by_residuals(region, 0, 1), *skulls]))
        known = {"kind": kind, "person": person.name, "first": visits[0], "second": visits[1], "region": region}
        known |= {"percent": percent, "seconds": seconds, "random_percent": 100 * random}
        known |= {"boundary_per_mm": result.changes.boundary_per_mm[region]}
        rows.append(known | {"truth_percent": 100 * (after[name] / before[name] - 1)})
    return rows


def measure_cost(people: Sequence[Person]) -> None:
    """Measure time and memory of the whole command on three visits, in a process of its own."""
    for person in people:
        for change in ("no", "yes"):
            if is_done(COST, change=change, person=person.name):
                continue
            with tempfile.TemporaryDirectory() as folder:
                words = [str(person.image(name)) for name in still(1, 2, 3)] + ["-o", folder, "--threads", "1"]
                words += ["--change"] if change == "yes" else []
                code = f"import sys; from stnreg.cli import main; sys.argv[0] = 'stnreg'; main({['series', *words]!r})"
                began = _children_seconds()
                subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
                seconds = _children_seconds() - began
            row = {"change": change, "person": person.name, "visits": 3, "seconds": seconds}
            peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child so far
            add_rows(COST, COST_COLUMNS, [row | {"peak_mb": peak_kb / 1024}])


def _children_seconds() -> float:
    """Return the processor time of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, required=True, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--what", default="transforms,peers,change,cost")
    parser.add_argument("--kinds", default="none,loss,growth,scale", help="of change")
    parser.add_argument("--textures", type=int, default=1, help="people per anatomy")
    parser.add_argument("--people", help="of all people only these, such as anatomy14-0,anatomy15-0")
    options = parser.parse_args()
    people = [Person(options.visits, name) for name in chosen(options)]
    wanted = options.what.split(",")
    if "transforms" in wanted:
        measure_transforms(people)
    if "peers" in wanted:
        measure_peers(people)
    if "change" in wanted:
        measure_change([one for one in people if not is_tuned(one.name)], options.kinds.split(","))
    if "cost" in wanted:
        measure_cost(people)


if __name__ == "__main__":
    main()
