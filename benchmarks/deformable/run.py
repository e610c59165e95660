"""Deformable registration beside peers: label Dice, folds, strain, error, seconds. Run from the repository root.

    python -m benchmarks.deformable.run [--rows A,B] [--methods A,B] [--pairs N] [--csv FILE] [--written DIR]
                               [--again METHOD,...]

Each method is a process of its own on files with one thread. Peers start from the affine of `stnreg register`, whose
seconds are not theirs; with `-own` after the name from the affine of their own engine. A line per pair and method is
added to the CSV as soon as it is there, and what is there is not run again, so a run can be stopped and continued.
`benchmarks.deformable.tables` prints the tables. Rows and what they are made of: `benchmarks/deformable/pairs.py`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import BrokenToolError
from benchmarks.accuracy.results import RESULTS, append, read, write
from benchmarks.deformable.methods import METHODS, OURS, PEERS, Figures, Found, consistency, our_affine, run_method
from benchmarks.deformable.pairs import ROWS, Truth, load_written
from stnreg.geometry.affine import apply_affine
from stnreg.transforms.affine import Affine
from stnreg.transforms.io.files import load_transform

COLUMNS = ("row", "pair", "method", "dice_before", "dice", "error_before_mm", "error_mm", "p95_mm", "folds_central",
           "folds_digital", "folded_pct", "log_jacobian_sd", "inverse_mm", "inverse_max_mm", "exchange_mm",
           "exchange_max_mm", "passed", "score", "status", "seconds", "cpu_s", "version", "weights", "day",
           "machine")  # fmt: skip
POINTS_STEP = 97


def strain(found: Found, truth: Truth) -> Figures:
    """Return folds of a warp on the fixed grid, and the standard deviation of log J in the brain where it has none."""
    folds = found.warp.count_folds()
    return {
        "folds_central": folds.central,
        "folds_digital": folds.digital,
        "folded_pct": folds.percent_volume,
        "log_jacobian_sd": float(np.nanstd(found.warp.log_jacobian()[truth.brain])),
    }


def measure(method: str, fixed: Path, moving: Path, truth: Truth, folder: Path) -> Figures:
    """Run a method on a pair, and measure what it wrote."""
    start = folder / "start.tfm"
    if not start.exists():
        our_affine(fixed, moving, start)
    found, figures = run_method(method, fixed, moving, start, folder)
    before = truth.judge(Affine(load_transform(start)))
    figures |= {"dice_before": before.get("dice"), "error_before_mm": before.get("error_mm")}
    if found is None:
        return figures
    figures |= truth.judge(found.transform) | strain(found, truth)
    if method == OURS:
        index = np.argwhere(truth.brain)[::POINTS_STEP, ::-1]
        points = apply_affine(truth.fixed.grid.index_to_lps, index.astype(float))
        figures |= consistency(fixed, moving, found, points, folder)
    return figures


def missing(
    rows: list[str], methods: list[str], pairs: int | None, done: set[tuple[str, str, str]]
) -> Iterator[tuple[str, int, list[str]]]:
    """Yield row, number and methods of each pair that is not measured yet."""
    for row in rows:
        for number in range(min(pairs or ROWS[row].pairs, ROWS[row].pairs)):
            wanted = [m for m in methods if (row, str(number), m) not in done]
            if wanted:
                yield row, number, wanted


def run_pair(row: str, number: int, methods: list[str], table: Path, written: Path | None) -> None:
    """Make a pair, or take it from where it was written, and add a line to the CSV for each method."""
    with tempfile.TemporaryDirectory(prefix="bench-deform-") as scratch:
        folder = Path(scratch)
        before = written / f"{ROWS[row].written}-{number:02d}" if written and ROWS[row].written else None
        truth = load_written(before) if before else None
        if before is not None and truth is not None:
            fixed, moving = before / "fixed.nii.gz", before / "moving.nii.gz"
        else:
            pair = ROWS[row].pair(number)
            truth, (fixed, moving) = pair.truth, pair.write(folder)
        for method in methods:
            try:
                figures = measure(method, fixed, moving, truth, folder)
            except BrokenToolError as error:
                print(f"{method} on {row} {number}, left out of the table:\n{error}", file=sys.stderr)
                continue
            append(table, {"row": row, "pair": number, "method": method} | figures, COLUMNS)
            shown = {k: v for k, v in figures.items() if k in ("dice", "error_mm", "log_jacobian_sd", "seconds")}
            print(row, number, method, shown, file=sys.stderr, flush=True)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--methods", default=",".join((OURS, *PEERS)))
    parser.add_argument("--pairs", type=int, help="of every row; each row's own number when left out")
    parser.add_argument("--csv", type=Path, default=RESULTS / "deformable.csv")
    parser.add_argument("--written", type=Path, metavar="DIR", help="pairs that were written before: straight-00, ...")
    parser.add_argument("--again", default="", metavar="METHOD,...", help="forget what these found in --rows first")
    options = parser.parse_args()
    rows, methods = options.rows.split(","), options.methods.split(",")
    if unknown := [r for r in rows if r not in ROWS] + [m for m in methods if m not in METHODS]:
        parser.error(f"unknown {', '.join(unknown)}; rows {', '.join(ROWS)}; methods {', '.join(METHODS)}")
    again = options.again.split(",") if options.again else []
    lines = [r for r in read(options.csv) if not (r["method"] in again and r["row"] in rows)]
    if again or not options.csv.exists():
        write(options.csv, lines, COLUMNS)
    done = {(r["row"], r["pair"], r["method"]) for r in lines}
    for row, number, wanted in missing(rows, methods, options.pairs, done):
        run_pair(row, number, wanted, options.csv, options.written)


if __name__ == "__main__":
    main()
