"""Unusual intensities on validation heads that were moved by a known rigid transform: error, rejections, time.

    python -m benchmarks.robustness.intensities [--heads 4] [--only WORD] [--dof 6]

The fixed image is the scan as it is, with noise and bias field of its own. Prints one line a kind.
"""

import argparse
from time import process_time

import numpy as np

import stnreg
from benchmarks.common.heads import Head, brain_points, load_heads
from benchmarks.common.intensity_variants import KINDS, make
from benchmarks.common.variants import make as make_variant
from stnreg.geometry.affine import mean_error_mm
from stnreg.images.volume import Volume, check_volume

FAILED_MM = 2.5


def measure(head: Head, kind: str, dof: int) -> tuple[float, bool, float]:
    """Register one pair; return the mean error over the brain in mm, whether it was accepted, and processor seconds."""
    fixed, moving = make_variant(head, "rescanned"), make(head, kind)
    images = (Volume(fixed.image, fixed.grid, path="fixed"), Volume(moving.image, moving.grid, path="moving"))
    begun = process_time()
    found = stnreg.register(images[0], check_volume(images[1]), dof=dof, threads=1)
    seconds = process_time() - begun
    error_mm = mean_error_mm(found.fixed_to_moving, moving.head_to_image, brain_points(head))
    return float(error_mm), bool(found.verdict.passed), seconds


def main() -> None:
    """Measure every kind, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=4, help="validation heads of each kind")
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--dof", type=int, default=6, choices=(6, 7, 9, 12))
    options = parser.parse_args()
    heads = load_heads("validation")[: options.heads]
    print("| intensities | pairs | error in mm, mean | largest | rejected | lost | seconds, slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in (kind for kind in KINDS if options.only in kind):
        outcomes = [measure(head, kind, options.dof) for head in heads]
        errors = np.array([error for error, _, _ in outcomes])
        rejected = sum(not passed for _, passed, _ in outcomes)
        lost = int((errors > FAILED_MM).sum())
        slowest = max(seconds for _, _, seconds in outcomes)
        cells = (kind, len(errors), f"{errors.mean():.2f}", f"{errors.max():.2f}", rejected, lost, f"{slowest:.1f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
