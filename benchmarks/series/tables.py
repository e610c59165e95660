"""Print what `benchmarks.series.run` measured.

python -m benchmarks.series.tables transforms|change|smoothness|order|cost
"""

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.series.changes import CHANGES
from benchmarks.series.order import COLUMNS as ORDER_COLUMNS
from benchmarks.series.order import ORDERS
from benchmarks.series.people import load
from benchmarks.series.run import COST, TRANSFORMS
from benchmarks.series.smoothness import SMOOTHNESS
from stnreg.registration.series.change import systematic_error

NAMES = {
    "series": "`stnreg series`",
    "register": "`stnreg register`, each pair",
    "greedy-rigid": "Greedy, to the first visit",
    "sitk-rigid": "SimpleITK, to the first visit",
}


def transforms() -> None:
    """Print the errors of the transforms between visits."""
    rows = load(TRANSFORMS)
    print_rows(
        ("visits", "method", "transforms", "mean mm", "worst mm", "transitivity mm", "processor s a visit"),
        [
            _transform_row(kind, size, method, found)
            for kind in ("no change", "2 % loss")
            for size in sorted({row["visits"] for row in rows if row["kind"] == kind})
            for method in NAMES
            if (found := [r for r in rows if (r["kind"], r["visits"], r["method"]) == (kind, size, method)])
        ],
    )


def _transform_row(kind: str, size: str, method: str, rows: Sequence[dict[str, str]]) -> tuple[str, ...]:
    errors = [float(row["error_mm"]) for row in rows]
    off = [float(row["transitivity_mm"]) for row in rows if row["transitivity_mm"]]
    seconds = [float(row["seconds"]) for row in rows if row["seconds"]]
    transitivity = f"{max(off):.1e}" if off and size != "2" else ""
    time = f"{np.median(seconds):.1f}" if seconds else ""
    told = f"{size}, {kind}"
    return told, NAMES[method], str(len(errors)), f"{np.mean(errors):.4f}", f"{max(errors):.4f}", transitivity, time


def change() -> None:
    """Print how exactly changes of volume are found."""
    rows = load(CHANGES)
    out = []
    for region, told in (("brain", "brain"), ("lateral_ventricles", "lateral ventricles")):
        for kind, name in (
            ("none", "no change"),
            ("loss", "loss of the brain"),
            ("growth", "growth of the ventricles"),
            ("scale", "scanner's scale off by 0.3 % (0.9 % of volume), no change"),
            ("none-series", "no change, six visits at once"),
            ("loss-series", "loss of the brain by 0 to 3 %, five visits at once"),
            ("growth-series", "growth of the ventricles by 0 to 20 %, five visits at once"),
        ):
            found = [row for row in rows if row["kind"] == kind and row["region"] == region]
            if found:
                out.append((told, name + _shares(found, kind), *_change_cells(found)))
    header = ("region", "between the visits", "pairs", "mean error", "median of its size", "95 %", "slope", "scatter",
              "told standard error", "within 2 of them")  # fmt: skip
    print_rows(header, out)
    print("\nErrors are in percent of the region.")
    grown = [row for row in rows if row["kind"] == "growth" and row["region"] == "lateral_ventricles"]
    if grown:
        off = [100 * (float(row["percent"]) / float(row["truth_percent"]) - 1) for row in grown]
        print(f"Growth of the ventricles, between two visits: {min(off):+.1f} to {max(off):+.1f} % of its true size.")


def _shares(rows: Sequence[dict[str, str]], kind: str) -> str:
    """Return which losses or growths are measured, by the names of the visits."""
    if kind not in ("loss", "growth"):
        return ""
    shares = sorted({float(row["second"].split("-")[1]) for row in rows})
    return " by " + ", ".join(f"{100 * share:g}" for share in shares) + " %"


def _change_cells(rows: Sequence[dict[str, str]]) -> tuple[str, ...]:
    found, truth, random, boundary = (
        np.array([float(row[name]) for row in rows])
        for name in ("percent", "truth_percent", "random_percent", "boundary_per_mm")
    )
    off = found - truth
    told = (1 + found / 100) * np.hypot(random, 100 * systematic_error(boundary, np.log1p(found / 100)))
    slope = scatter = ""
    if np.ptp(truth) > 0.2 and len(truth) > 3:
        line = np.polyfit(truth, found, 1)
        slope, scatter = f"{line[0]:.3f}", f"{(found - np.polyval(line, truth)).std(ddof=2):.3f}"
    size = np.abs(off)
    return (
        str(len(rows)),
        f"{off.mean():+.3f}",
        f"{np.median(size):.3f}",
        f"{np.percentile(size, 95):.3f}",
        slope,
        scatter,
        f"{np.median(told):.3f}",
        f"{100 * np.mean(size <= 2 * told):.0f} %",
    )


def smoothness() -> None:
    """Print how much the smoothness of resampled visits differs."""
    found = load(SMOOTHNESS)
    out = []
    for reference, told in (("unbiased", "mean space"), ("first", "space of the first visit")):
        own = [row for row in found if row["reference"] == reference]
        people = sorted({row["person"] for row in own})
        if not people:
            continue
        widths = np.array([[float(row["width_mm"]) for row in own if row["person"] == person] for person in people])
        off = 100 * (widths / widths.mean(1, keepdims=True) - 1)
        out.append(
            (told, str(widths.size), f"{widths.mean():.2f}", f"{np.abs(off).max():.1f}", f"{off[:, 0].mean():+.1f}")
        )
    header = ("resampled to the", "visits", "width of the noise mm", "largest deviation %", "first visit %")
    print_rows(header, out)


def order() -> None:
    """Print how far the result depends on the order of the visits."""
    out = []
    for change, told in (("False", "three visits"), ("True", "three visits, `--change`")):
        rows = [row for row in load(ORDERS) if row["change"] == change]
        if rows:
            people = len({row["person"] for row in rows})
            most = [max(float(row[name] or 0) for row in rows) for name in ORDER_COLUMNS[3:]]
            volumes = f"{most[2]:.1e}" if change == "True" else ""
            out.append((told, str(people), str(len(rows)), f"{most[0]:.1e}", f"{most[1]:.1e}", volumes))
    print_rows(("", "people", "other orders", "transforms mm", "template %", "volume of the brain %"), out)


def cost() -> None:
    """Print time and memory of the command."""
    out = []
    for change, told in (("no", "transforms and template"), ("yes", "with `--change`")):
        rows = [row for row in load(COST) if row["change"] == change]
        if rows:
            seconds, computing, floor = (
                np.median([float(row[name]) for row in rows]) for name in ("seconds", "computing_s", "floor_s")
            )
            peak = max(float(row["peak_mb"]) for row in rows)
            count = int(rows[0]["visits"])
            each = (seconds / count, computing / count, floor, seconds / count / floor, computing / count / floor)
            out.append((told, str(len(rows)), *(f"{value:.1f}" for value in each), f"{peak / 1024:.2f}"))
    header = ("three visits", "people", "processor s a visit", "of them computing", "floor s", "floors a visit",
              "of them computing", "memory GiB")  # fmt: skip
    print_rows(header, out)


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in markdown."""
    whole = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[k]) for row in whole) for k in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in whole]
    lines.insert(1, "| " + " | ".join("-" * w for w in widths) + " |")
    print("\n".join(lines))


if __name__ == "__main__":
    {"transforms": transforms, "change": change, "smoothness": smoothness, "order": order, "cost": cost}[sys.argv[1]]()
