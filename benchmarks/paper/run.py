"""The paper's three tables, with peers of today below: measured pair by pair into a CSV, printed from it.

    python -m benchmarks.paper.run measure [--columns A,B] [--methods A,B] [--pairs 30] [--random 190] [--jobs 2]
    python -m benchmarks.paper.run measure --table "TADPOLE random=PAIRS.csv" --columns "TADPOLE random"
    python -m benchmarks.paper.run show dice|hd_mm|hd95_mm|mi_nats|label_dice|error_mm|seconds|bars|refined|failures

Rows that are in the CSV are not measured again, so it can be stopped and run on. A cell has at least 30 pairs; fewer
(`--trial N`) go to a CSV of their own, are marked when shown, and are for trying the command alone.
"""

import argparse
import csv
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.paper.columns import COLUMNS, Maker, of_table
from benchmarks.paper.methods import METHODS
from benchmarks.paper.refined_bars import show_refined
from benchmarks.paper.tables import (
    COLUMNS_OF_CSV,
    FIGURES,
    LEAST_PAIRS,
    Cells,
    read_rows,
    show_bars,
    show_failures,
    show_figure,
)
from stnreg.datasets.pair_table import Pair
from stnreg.errors import StnregError
from stnreg.evaluation.evaluate import evaluate
from stnreg.images.volume import Volume, load_volume
from stnreg.preprocessing.cube import shrink_volume
from stnreg.transforms.io.files import load_transform

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/paper.csv"
FINEST_MM = 2.0  # finer images are averaged to about this first
FOREGROUND = "share:0.2"
Row = dict[str, str]


def load(path: Path) -> Volume:
    """Load an image at the resolution of the tables."""
    return shrink_volume(load_volume(path), FINEST_MM)


def measure_pair(column: str, pair: Pair, methods: tuple[str, ...], threads: int) -> list[Row]:
    """Run methods on one pair, and return their rows. One that gives up counts as no registration, and says why."""
    fixed, moving = load(pair.fixed), load(pair.moving)
    rows = []
    for method in methods:
        note = ""
        began = _cpu_s()
        try:
            fixed_to_moving = METHODS[method].run(fixed, moving, column, threads)
        except StnregError as error:
            note = str(error).splitlines()[0][:120]
            fixed_to_moving = METHODS["none"].run(fixed, moving, column, threads)
        seconds = _cpu_s() - began
        figures = figures_of(pair, fixed, moving, fixed_to_moving) | {"seconds": seconds}
        told = {name: f"{figures[name]:.6g}" if name in figures else "" for name in FIGURES}
        rows.append({"column": column, "pair": pair.id, "method": method, **told, "note": note})
    return rows


def _cpu_s() -> float:
    """Return the CPU time of this process and of those it waited for: what one thread takes on an idle machine."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def figures_of(pair: Pair, fixed: Volume, moving: Volume, fixed_to_moving: object) -> dict[str, float]:
    """Measure one result: the paper's figures, and label Dice and mm where labels and truth are there."""
    found = {"transform": fixed_to_moving, "warp": True}
    names = {"dice": "dice", "hd": "hd_mm", "hd95": "hd95_mm", "mi": "mi_nats"}
    measures = evaluate(fixed, moving, metrics=tuple(names), foreground=FOREGROUND, **found)
    figures = {names[m.metric]: m.value for m in measures}
    if pair.fixed_labels and pair.moving_labels:
        labels = {"fixed_labels": pair.fixed_labels, "moved_labels": pair.moving_labels}
        of_labels = evaluate(fixed, moving, metrics=("dice",), **labels, **found)
        figures["label_dice"] = next(m.value for m in of_labels if m.label == "mean")
    if pair.truth:
        known = {"truth": load_transform(pair.truth), "mask": pair.fixed_mask, "foreground": FOREGROUND}
        errors = evaluate(fixed, moving, metrics=("tre",), **known, **found)
        figures["error_mm"] = next(m.value for m in errors if m.label == "mean")
    return figures


def measure(options: argparse.Namespace) -> None:
    """Measure what is not in the CSV yet, and append it pair by pair."""
    columns: dict[str, Maker] = COLUMNS | {name: of_table(Path(table)) for name, table in _tables(options.table)}
    wanted = options.columns.split(",") if options.columns else list(columns)
    methods = tuple(options.methods.split(",")) if options.methods else tuple(METHODS)
    _known("column", wanted, columns)
    _known("method", methods, METHODS)
    target = options.csv if options.trial is None else options.work / "trial.csv"
    done = {(row["column"], row["pair"], row["method"]) for row in read_rows(target)}
    for column in wanted:
        count = options.trial or (options.random if column == "random" else options.pairs)
        pairs = columns[column](options.work / column, count, options.jobs)
        tasks = [(p, tuple(m for m in methods if (column, p.id, m) not in done)) for p in pairs]
        tasks = [(pair, left) for pair, left in tasks if left]
        began = time.perf_counter()
        for number, rows in enumerate(_measured(column, tasks, options.jobs, options.threads), start=1):
            append(target, rows)
            each_s = (time.perf_counter() - began) / number
            left_min = each_s * (len(tasks) - number) / 60
            print(f"{column}: {number} of {len(tasks)} pairs, {each_s:.1f} s each, {left_min:.0f} min left", flush=True)
    print(f"{target}: {len(read_rows(target))} rows")


def append(path: Path, rows: list[Row]) -> None:
    """Add rows to the CSV, which is begun with its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS_OF_CSV, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def show(options: argparse.Namespace) -> None:
    """Print one table."""
    path = options.work / "trial.csv" if options.trial else options.csv
    cells = Cells(read_rows(path), 1 if options.trial else LEAST_PAIRS)
    if options.trial:
        print("A TRIAL of few pairs: proves that the command runs, and nothing else.")
    other = {"bars": show_bars, "refined": show_refined, "failures": show_failures}
    lines = other[options.what](cells) if options.what in other else show_figure(cells, options.what)
    print(*(line.rstrip() for line in lines), sep="\n")


def _measured(column: str, tasks: list[tuple[Pair, tuple[str, ...]]], jobs: int, threads: int) -> Iterator[list[Row]]:
    """Yield the rows of each pair as they come."""
    if jobs == 1:
        yield from (measure_pair(column, pair, methods, threads) for pair, methods in tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(measure_pair, column, pair, methods, threads) for pair, methods in tasks]
        for future in as_completed(futures):
            yield future.result()


def _tables(given: list[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, _, table = text.partition("=")
        if not table:
            raise SystemExit(f"--table {text}: expected NAME=PAIRS.csv")
        yield name, table


def _known(what: str, asked: object, there: object) -> None:
    unknown = [name for name in asked if name not in there]  # type: ignore[attr-defined, operator]
    if unknown:
        raise SystemExit(f"no {what} {', '.join(unknown)}; there are {', '.join(there)}")  # type: ignore[arg-type]


def main() -> None:
    """Measure or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("--columns", default="", help=f"of {', '.join(COLUMNS)}; all when left out")
    measuring.add_argument("--methods", default="", help=f"of {', '.join(METHODS)}; all when left out")
    measuring.add_argument("--pairs", type=int, default=LEAST_PAIRS)
    measuring.add_argument("--random", type=int, default=190, help="pairs of the column random, of 190")
    measuring.add_argument("--trial", type=int, metavar="N", help="try the command with N pairs, into trial.csv")
    measuring.add_argument("--table", action="append", default=[], metavar="NAME=PAIRS.csv", help="one more column")
    measuring.add_argument("--jobs", type=int, default=2, help="pairs at a time")
    measuring.add_argument("--threads", type=int, default=1, help="of each method")
    showing = verbs.add_parser("show")
    showing.add_argument("what", choices=(*FIGURES, "bars", "refined", "failures"))
    showing.add_argument("--trial", action="store_true", help="show trial.csv")
    for verb in (measuring, showing):
        verb.add_argument("--csv", type=Path, default=RESULTS)
        verb.add_argument("--work", type=Path, default=ROOT / "build/paper", help="where pairs are kept")
    options = parser.parse_args()
    if options.verb == "measure" and options.trial is None and min(options.pairs, options.random) < LEAST_PAIRS:
        parser.error(f"a cell has at least {LEAST_PAIRS} pairs; try the command with --trial N")
    measure(options) if options.verb == "measure" else show(options)


if __name__ == "__main__":
    main()
