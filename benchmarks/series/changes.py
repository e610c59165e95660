"""Measure the change of volume that `stnreg series --change` finds between simulated visits."""

import time
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from benchmarks.series.people import RESULTS, Person, Row, add_rows, is_done, still
from benchmarks.series.visits import GROWTHS, LOSSES
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.registration.series.result import SeriesResult

CHANGES = RESULTS / "series-change.csv"
CHANGE_COLUMNS = (
    *("kind", "person", "first", "second", "region", "percent", "truth_percent"),
    *("random_percent", "boundary_per_mm", "seconds"),
)
KINDS = "none,loss,growth,scale,none-series,loss-series,growth-series"
SERIES = {
    "none-series": ["still-1", "still-2", "still-3", "still-4", "still-5", "still-6"],
    "loss-series": ["still-5", *(f"loss-{share:g}" for share in LOSSES)],
    "growth-series": ["still-6", *(f"growth-{share:g}" for share in GROWTHS)],
}
"""Series of more than two visits; of those with a change every visit has its own."""
STILL_PAIRS = ((1, 2), (3, 4), (5, 6), (1, 4), (2, 5), (3, 6), (1, 3), (2, 4), (1, 5), (2, 6))


def change_cases(kinds: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and the visits of each series: two, or all of a kind (`SERIES`)."""
    for kind, first, second in _pairs(kinds):
        yield kind, [first, second]
    for kind, visits in SERIES.items():
        if kind in kinds:
            yield kind, visits


def _pairs(kinds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for k in range(max(len(STILL_PAIRS), len(LOSSES), len(GROWTHS))):
        if "none" in kinds and k < len(STILL_PAIRS):
            yield "none", *still(*STILL_PAIRS[k])
        if "loss" in kinds and k < len(LOSSES):
            yield "loss", f"still-{1 + k % 4}", f"loss-{LOSSES[k]:g}"
        if "growth" in kinds and k < len(GROWTHS):
            yield "growth", f"still-{1 + k % 4}", f"growth-{GROWTHS[k]:g}"
    if "scale" in kinds:
        yield "scale", "still-1", "scale-1.003"


def measure_change(people: Sequence[Person], kinds: Sequence[str], minutes: float = np.inf) -> None:
    """Measure the change between two visits, of people whose anatomy it was not tuned with."""
    began = time.process_time()
    for kind, visits in change_cases(kinds):
        for person in people:
            if time.process_time() - began > 60 * minutes:
                return
            if not is_done(CHANGES, kind=kind, person=person.name, first=visits[0], second=visits[1]):
                add_rows(CHANGES, CHANGE_COLUMNS, change_rows(kind, person, visits))


def change_rows(kind: str, person: Person, visits: list[str]) -> list[Row]:
    """Measure the change between visits of a person: a row for each pair of them and each region."""
    encoded, spent = zip(*(person.encoded(visit) for visit in visits), strict=True)
    began = time.process_time()
    result = register_series(encoded, visits, SeriesOptions(threads=1, change=True))
    seconds = (time.process_time() - began + sum(spent)) / len(visits)
    if [visit.name for visit in result.kept] != list(visits):
        raise SystemExit(f"{person.name}: {[(v.name, v.reason) for v in result.visits]}")
    known = {"kind": kind, "person": person.name, "seconds": seconds}
    return [
        known | _change_row(result, person, region, name, i, j)
        for i, j in combinations(range(len(visits)), 2)
        for region, name in (("brain", "tissue"), ("lateral_ventricles", "ventricles"))
    ]


def _change_row(result: SeriesResult, person: Person, region: str, name: str, i: int, j: int) -> Row:
    earlier, later = result.kept[i], result.kept[j]
    before, after = (person.truth(visit.name)["volumes"][name] for visit in (earlier, later))
    percent, _ = result.change_percent(region, earlier, later)
    skulls = [visit.skull_error or 0.0 for visit in (earlier, later)]
    random = float(np.linalg.norm([result.changes.error_by_residuals(region, i, j), *skulls]))
    return {
        "first": earlier.name,
        "second": later.name,
        "region": region,
        "percent": percent,
        "random_percent": 100 * random,
        "boundary_per_mm": result.changes.boundary_per_mm[region],
        "truth_percent": 100 * (after / before - 1),
    }
