"""Is our SimpleITK recipe a straw man? Its error on heads moved by 10 degrees and 10 mm; the bar is a median of 0.5 mm.

    python -m benchmarks.accuracy.recipe_check [--methods sitk-affine,sitk-rigid] [--heads 18] [--threads 1]

Heads are the validation scans (2 mm, whole head). Each is turned by exactly 10 degrees about a random axis through
its middle and shifted by exactly 10 mm in a random direction, within its own grid, so no header helps; both images
get their own noise, bias field and texture. The error is the mean distance over the brain's voxels. Prints a line a
head, then the median, and exits 1 if a method misses the bar.
"""

import argparse
import sys
import time

import numpy as np

from benchmarks.common.heads import Head, brain_points, load_heads
from stnreg.baselines.run import align
from stnreg.geometry.affine import invert, mean_error_mm
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.resampling.resample import resample
from stnreg.simulation.scanner import random_scanner, scan

ANGLE_DEG, SHIFT_MM, BAR_MM = 10.0, 10.0, 0.5
SEED = 11


def turn_and_shift(rng: np.random.Generator, center_lps: np.ndarray) -> Matrix:
    """Return a rigid (4, 4) of exactly that angle and shift, in random directions, about a point; LPS mm."""
    axis, direction = rng.standard_normal((2, 3))
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(ANGLE_DEG)
    move = np.eye(4)
    move[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    shift = SHIFT_MM * direction / np.linalg.norm(direction)
    move[:3, 3] = center_lps - move[:3, :3] @ center_lps + shift
    return move


def moved_pair(head: Head, rng: np.random.Generator) -> tuple[Volume, Volume, Matrix]:
    """Return the head, the head moved, each scanned anew, and the truth."""
    truth = turn_and_shift(rng, head.grid.center_lps)
    clean = (head.image / np.percentile(head.image, 99.5)).clip(0, 1.5).astype(np.float32)
    moved = resample(clean, head.grid, head.grid, invert(truth), interp="bspline").clip(0, 1.5)
    fixed, moving = (Volume(scan(image, random_scanner(rng), rng), head.grid) for image in (clean, moved))
    return fixed, moving, truth


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="sitk-affine,sitk-rigid")
    parser.add_argument("--heads", type=int, default=18)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    heads = load_heads("validation")[: options.heads]
    missed = False
    print("method\thead\terror_mm\tseconds")
    for method in options.methods.split(","):
        errors = []
        for k, head in enumerate(heads):
            fixed, moving, truth = moved_pair(head, np.random.default_rng([SEED, k]))
            began = time.perf_counter()
            found = align(fixed, moving, method, threads=options.threads).fixed_to_moving
            errors.append(mean_error_mm(found, truth, brain_points(head)))
            print(f"{method}\t{head.name}\t{errors[-1]:.3f}\t{time.perf_counter() - began:.1f}", flush=True)
        median = float(np.median(errors))
        missed |= not median < BAR_MM
        verdict = "under" if median < BAR_MM else "NOT under"
        print(f"{method}\tmedian of {len(errors)}\t{median:.3f}\t{verdict} {BAR_MM} mm (largest {max(errors):.3f})")
    sys.exit(missed)


if __name__ == "__main__":
    main()
