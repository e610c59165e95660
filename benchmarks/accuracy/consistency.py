"""Inverse consistency, and one thread against two: what `stnreg register` promises whatever the images.

    python -m benchmarks.accuracy.consistency [--rows straight,known] [--pairs 15] [--methods stnreg,stnreg-no-refine]

Runs whole processes on pairs of `benchmarks/accuracy/pairs.py`: fixed and moving, moving and fixed, and again with two
threads. Prints the largest distance over the fixed brain between a point and where both transforms, one after the
other, bring it, and between what one and two threads find, mm.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import OURS, run_method
from benchmarks.accuracy.pairs import ROWS
from stnreg.geometry.affine import apply_affine, compose

BACK_MM, THREADS_MM = 0.05, 0.01


def farthest_mm(a: np.ndarray, b: np.ndarray, points: np.ndarray) -> float:
    """Return the largest distance between where two maps put points, mm."""
    return float(np.linalg.norm(apply_affine(a, points) - apply_affine(b, points), axis=1).max())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="straight,known")
    parser.add_argument("--pairs", type=int, default=15, help="of each row")
    parser.add_argument("--methods", default=",".join(OURS))
    options = parser.parse_args()
    methods = options.methods.split(",")
    back: dict[str, list[float]] = {m: [] for m in methods}
    threads: dict[str, list[float]] = {m: [] for m in methods}
    for row in options.rows.split(","):
        for number in range(options.pairs):
            pair = ROWS[row].pair(number)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                pair.write(Path(folder))
                files = Path(folder, "fixed.nii.gz"), Path(folder, "moving.nii.gz")
                for method in methods:
                    there, _ = run_method(method, *files)
                    again, _ = run_method(method, *files[::-1])
                    two, _ = run_method(method, *files, "--threads", "2")
                    assert there is not None
                    assert again is not None
                    assert two is not None
                    points = pair.judge.points
                    back[method].append(farthest_mm(compose(again, there), np.eye(4), points))
                    threads[method].append(farthest_mm(two, there, points))
    for name, found, bar in (("there and back", back, BACK_MM), ("two threads against one", threads, THREADS_MM)):
        for method, values in found.items():
            print(f"{name:24s} {method:17s} {len(values)} pairs of {options.rows}: at most {max(values):.4f} mm, "
                  f"median {np.median(values):.4f}; the bar is {bar} mm")  # fmt: skip


if __name__ == "__main__":
    main()
