"""Measure how far the result of a series depends on the order in which the visits are given.

    python -m benchmarks.series.visits -o runs/visits
    python -m benchmarks.series.order --visits runs/visits

Every order of three visits is compared with the first one; with --change, that order is compared with the reverse.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from benchmarks.series.people import RESULTS, Person, Row, add_rows, is_done
from benchmarks.series.visits import chosen
from stnreg.geometry.affine import mean_error_mm
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.registration.series.result import SeriesResult

ORDERS = RESULTS / "series-order.csv"
COLUMNS = ("person", "change", "order", "transforms_mm", "template_percent", "volumes_percent")
VISITS = ("still-1", "loss-0.02", "still-3")


def measure(people: Sequence[Person], *, change: bool) -> None:
    """Measure what is missing."""
    for person in people:
        if is_done(ORDERS, person=person.name, change=change):
            continue
        first, *others = [_result(person, order, change=change) for order in _orders(change=change)]
        rows: list[Row] = []
        for other in others:
            order = " ".join(visit.name for visit in other.kept)
            rows.append({"person": person.name, "change": change, "order": order} | _differences(person, first, other))
        add_rows(ORDERS, COLUMNS, rows)


def _orders(*, change: bool) -> list[tuple[str, ...]]:
    return [VISITS, VISITS[::-1]] if change else list(permutations(VISITS))


def _result(person: Person, order: Sequence[str], *, change: bool) -> SeriesResult:
    encoded = [person.encoded(visit)[0] for visit in order]
    return register_series(encoded, list(order), SeriesOptions(threads=1, change=change))


def _differences(person: Person, one: SeriesResult, other: SeriesResult) -> Row:
    """Return the largest differences: of transforms, of the template in percent of its brightness, of volumes."""
    pairs = list(combinations(VISITS, 2))
    off = max(mean_error_mm(one.between(a, b), other.between(a, b), person.points) for a, b in pairs)
    assert one.template is not None
    assert other.template is not None
    if one.template.grid.is_close(other.template.grid):
        apart = np.abs(one.template.array - other.template.array).max() / np.percentile(one.template.array, 99)
    else:
        apart = np.inf
    row: Row = {"transforms_mm": float(off), "template_percent": float(100 * apart)}
    if one.changes is not None:
        percents = [
            [result.change_percent("brain", *(v for name in pair for v in result.kept if v.name == name))[0]
             for pair in pairs]
            for result in (one, other)
        ]  # fmt: skip
        row["volumes_percent"] = float(np.abs(np.subtract(*percents)).max())
    return row


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=Path, required=True, help="folder that benchmarks.series.visits wrote")
    parser.add_argument("--change", action="store_true", help="with the change of volume, which takes ten times longer")
    parser.add_argument("--textures", type=int, default=1, help="people per anatomy")
    parser.add_argument("--people", help="of all people only these, such as anatomy14-0,anatomy15-0")
    options = parser.parse_args()
    measure([Person(options.visits, name) for name in chosen(options)], change=options.change)


if __name__ == "__main__":
    main()
