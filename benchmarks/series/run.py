"""Measure `stnreg series` on simulated visits with a known truth, and other tools on the same visits.

    python -m benchmarks.series.visits -o runs/visits
    python -m benchmarks.series.run --visits runs/visits --what transforms,peers,change,cost

A run that was stopped continues: finished cases are in benchmarks/results/series*.csv. Seconds are of the processor,
on one thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from benchmarks.series.changes import KINDS, measure_change
from benchmarks.series.people import RESULTS, Person, Row, add_rows, is_done, still
from benchmarks.series.visits import chosen, is_tuned
from stnreg.geometry.affine import compose, mean_error_mm
from stnreg.geometry.matrix import Matrix
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.register import register_pair
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.transforms.io.files import load_transform

TRANSFORMS = RESULTS / "series.csv"
COST = RESULTS / "series-cost.csv"
TRANSFORM_COLUMNS = ("kind", "person", "visits", "method", "first", "second", "error_mm", "transitivity_mm", "seconds")
COST_COLUMNS = ("change", "person", "visits", "seconds", "computing_s", "floor_s", "peak_mb")
BASELINE = Path(__file__).parents[1] / "speed" / "baseline_cost.py"
SIZES = (2, 3, 4, 6)
PEERS = ("greedy-rigid", "sitk-rigid")


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
    encoded, spent = zip(*(person.encoded(visit) for visit in visits), strict=True)
    began = time.process_time()
    result = register_series(encoded, visits, SeriesOptions(threads=1))
    seconds = (time.process_time() - began + sum(spent)) / len(visits)
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


def measure_cost(people: Sequence[Person]) -> None:
    """Measure time and memory of the whole command on three visits, in a process of its own, beside the floor."""
    for person in people:
        pair = [str(person.image(name)) for name in still(1, 4)]  # of 1 mm
        for change in ("no", "yes"):
            if is_done(COST, change=change, person=person.name):
                continue
            with tempfile.TemporaryDirectory() as folder:
                began = _children_seconds()
                subprocess.run([sys.executable, str(BASELINE), *pair, f"{folder}/floor.nii.gz"], check=True)
                floor = _children_seconds() - began
                words = [str(person.image(name)) for name in still(1, 2, 3)] + ["-o", folder, "--threads", "1"]
                words += ["--change"] if change == "yes" else []
                code = f"import sys; from stnreg.cli import main; sys.argv[0] = 'stnreg'; main({['series', *words]!r})"
                began = _children_seconds()
                subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
                seconds = _children_seconds() - began
                stages = json.loads((Path(folder) / "series.json").read_text())["timings_s"]
            row = {"change": change, "person": person.name, "visits": 3, "seconds": seconds, "floor_s": floor}
            row["computing_s"] = sum(stages.values())
            peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child so far
            add_rows(COST, COST_COLUMNS, [row | {"peak_mb": peak_kb / 1024}])


def _children_seconds() -> float:
    """Return the processor time of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, required=True, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--what", default="transforms,peers,change,cost")
    parser.add_argument("--kinds", default=KINDS, help=f"of change: {KINDS}")
    parser.add_argument(
        "--minutes", type=float, default=np.inf, help="of processor; after them, no series of change is begun"
    )
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
        measure_change([one for one in people if not is_tuned(one.name)], options.kinds.split(","), options.minutes)
    if "cost" in wanted:
        measure_cost(people)


if __name__ == "__main__":
    main()
