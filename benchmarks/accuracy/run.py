"""Peers side by side in one run: accuracy, and the seconds of whole processes. Run from the repository root.

    python -m benchmarks.accuracy.run [--rows A,B] [--methods A,B] [--pairs N] [--jobs 2] [--csv FILE] [--keep DIR]
                               [--again METHOD,...] [--estimate] [--trial]

Each method is a process of its own on files, `stnreg register` or `stnreg baseline`, with one thread; `--jobs` of them
run at once. A line per pair and method is added to the CSV as soon as it is there, and what is there is not run again,
so a run can be stopped and continued. All methods of a row are done before the next row.
`benchmarks.accuracy.tables` prints the tables. Rows and what they are made of: `benchmarks/accuracy/pairs.py`. A row
has at least 30 pairs; fewer only with `--trial`, which writes a file of its own and says so.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import METHODS, OURS, BrokenToolError, run_method
from benchmarks.accuracy.pairs import ROWS, load_judge
from benchmarks.accuracy.results import RESULTS, Line, append, read, write

LEAST_PAIRS = 30
# Seconds of one process with one thread, for an estimate where nothing is measured yet: at 2 mm, at 1 mm.
TYPICAL_S = {
    "stnreg": (3, 4),
    "stnreg-no-refine": (2, 3),
    "greedy": (4, 31),
    "ants-fast": (4, 26),
    "elastix": (17, 39),
    "sitk-affine": (10, 43),
    "niimath": (3, 6),
}


@dataclass(frozen=True)
class Task:
    """One pair, and the methods that are still to run on it."""

    row: str
    number: int
    methods: tuple[str, ...]


def plan(rows: list[str], methods: list[str], pairs: int | None, done: set[tuple[str, str, str]]) -> list[Task]:
    """Return what is missing, row by row, so that a run that is stopped early leaves whole rows.

    Parameters
    ----------
    rows, methods : list of str
    pairs : int or None
        Of every row and method; each row's own numbers when None.
    done : set of (row, pair, method)
    """
    tasks = []
    for name in rows:
        row = ROWS[name]
        for number in range(pairs or max(row.pairs, row.peer_pairs)):
            wanted = [m for m in methods if number < (pairs or (row.pairs if m in OURS else row.peer_pairs))]
            missing = tuple(m for m in wanted if (name, str(number), m) not in done)
            if missing:
                tasks.append(Task(name, number, missing))
    return tasks


def run_task(task: Task, folder: Path, table: Path, keep: bool) -> int:
    """Make a pair if need be, run the methods on it one after the other, and add their lines to the CSV."""
    if os.getppid() != _parent:  # the run was stopped: nobody waits for this
        raise SystemExit
    own = folder / task.row / f"{task.number:03d}"
    judge = load_judge(own)
    if judge is None:
        pair = ROWS[task.row].pair(task.number)
        pair.write(own)
        judge = pair.judge
    for method in task.methods:
        line: dict[str, object] = {"row": task.row, "pair": task.number, "method": method}
        try:
            found, figures = run_method(method, own / "fixed.nii.gz", own / "moving.nii.gz")
        except BrokenToolError as error:
            print(f"{method} on {own}, left out of the table:\n{error}", file=sys.stderr)
            continue
        append(table, line | figures | (judge.judge(found) if found is not None else {}))
    if not keep:
        for file in own.iterdir():
            file.unlink()
        own.rmdir()
    return len(task.methods)


_parent = 0


def _begin_worker(parent: int) -> None:
    import SimpleITK as sitk

    global _parent
    _parent = parent
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def estimate(tasks: list[Task], lines: list[Line], jobs: int) -> Iterator[str]:
    """Say how many minutes each row and method still takes on free cores, by the processor time it took so far."""
    total = 0.0
    yield f"{'row':10s} {'method':18s} {'pairs':>6s} {'s each':>7s} {'min':>6s}   (of processor time)"
    for row in dict.fromkeys(t.row for t in tasks):
        for method in METHODS:
            count = sum(method in t.methods for t in tasks if t.row == row)
            if not count:
                continue
            mine = [r for r in lines if r["method"] == method]
            same = [float(r["cpu_s"]) for r in mine if r["row"] == row] or [
                float(r["cpu_s"]) for r in mine if ROWS[r["row"]].voxel_mm == ROWS[row].voxel_mm
            ]
            each = float(np.mean(same)) if same else TYPICAL_S[method][ROWS[row].voxel_mm == 1]
            total += count * each / jobs / 60
            yield f"{row:10s} {method:18s} {count:6d} {each:7.1f} {count * each / jobs / 60:6.1f}"
    yield f"together about {total:.0f} minutes with {jobs} at once, and the making of the pairs"


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--pairs", type=int, help=f"pairs of every row and method, {LEAST_PAIRS} or more")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once, of one thread each")
    parser.add_argument("--csv", type=Path, default=RESULTS / "bench.csv")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the pairs here, to run another method on them")
    parser.add_argument("--again", default="", metavar="METHOD,...", help="forget what these found in --rows first")
    parser.add_argument("--estimate", action="store_true", help="say how long it would take, and do nothing")
    parser.add_argument("--trial", action="store_true", help="two pairs a row (or --pairs), in a file called so")
    options = parser.parse_args()
    rows, methods = options.rows.split(","), options.methods.split(",")
    if unknown := [r for r in rows if r not in ROWS] + [m for m in methods if m not in METHODS]:
        parser.error(f"unknown {', '.join(unknown)}; rows {', '.join(ROWS)}; methods {', '.join(METHODS)}")
    table, pairs = options.csv, options.pairs
    if options.trial:
        table, pairs = table.with_name(f"{table.stem}-trial.csv"), pairs or 2
    elif pairs is not None and pairs < LEAST_PAIRS:
        parser.error(f"--pairs {pairs}: a row has at least {LEAST_PAIRS}; --trial only tries the commands")
    again = options.again.split(",") if options.again else []
    lines = [r for r in read(table) if not (r["method"] in again and r["row"] in rows)]
    tasks = plan(rows, methods, pairs, {(r["row"], r["pair"], r["method"]) for r in lines})
    print(*estimate(tasks, lines, options.jobs), sep="\n", file=sys.stderr)
    if not options.estimate:
        if again or not table.exists():
            write(table, lines)
        with tempfile.TemporaryDirectory(prefix="bench-pairs-") as scratch:
            work(tasks, options.keep or Path(scratch), table, options.keep is not None, options.jobs)


def work(tasks: list[Task], folder: Path, table: Path, keep: bool, jobs: int) -> None:
    """Run tasks in the order given, several at once."""
    cells = sum(len(t.methods) for t in tasks)
    done, began = 0, time.perf_counter()
    spawn = get_context("spawn")  # ITK's threads do not survive a fork
    with ProcessPoolExecutor(jobs, spawn, initializer=_begin_worker, initargs=(os.getpid(),)) as pool:
        for future in as_completed([pool.submit(run_task, task, folder, table, keep) for task in tasks]):
            done += future.result()
            minutes = (time.perf_counter() - began) / 60
            print(f"{done} of {cells} runs, {minutes:.0f} min", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
