"""Two people, one of whom is cut off: whether the larger HD95 of the refined network is that of the cut.

    python -m benchmarks.paper.cut_heads [--head IXI521] [--method separate-refined] [--pairs 3]

Registers the pairs of the column `random` that have the head and lose most in HD95, by a method and by SimpleITK, and
prints HD95 of the foreground twice: as the tables have it, and where both fields of view are (as the mutual information
is measured): what lies outside the field of view of the moving image is cut from the fixed foreground, too.
"""

import argparse

import numpy as np

from benchmarks.paper.columns import random
from benchmarks.paper.methods import METHODS
from benchmarks.paper.run import FOREGROUND, RESULTS, ROOT, load
from benchmarks.paper.tables import Cells, read_rows
from stnreg.evaluation.foreground import foreground_mask
from stnreg.evaluation.surface import hd95_mm, surface_distances
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.resampling.resample import resample

PEER = "sitk-affine"
PAIRS = 190  # of the column


def both_hd95_mm(fixed: Volume, moving: Volume, fixed_to_moving: Matrix) -> tuple[float, float]:
    """Return HD95 of the foreground, mm: of all of it, and where both fields of view are."""

    def moved(array: np.ndarray) -> np.ndarray:
        return resample(array.astype(np.uint8), moving.grid, fixed.grid, fixed_to_moving, "nearest") > 0

    ours, theirs = foreground_mask(fixed.array, FOREGROUND), moved(foreground_mask(moving.array, FOREGROUND))
    seen = moved(np.ones(moving.grid.shape))
    whole, common = (hd95_mm(surface_distances(mask, theirs, fixed.grid, threads=1)) for mask in (ours, ours & seen))
    return whole, common


def main() -> None:
    """Register and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", default="IXI521")
    parser.add_argument("--method", default="separate-refined")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    cells = Cells(read_rows(RESULTS))
    ours, theirs = (cells.values("random", name, "hd95_mm") for name in (options.method, PEER))
    worst = sorted((p for p in ours if options.head in p and p in theirs), key=lambda p: theirs[p] - ours[p])
    pairs = {pair.id: pair for pair in random(ROOT / "build/paper/random", PAIRS, 1)}
    print(
        f"HD95 of the foreground, mm, whole and in the common field of view: {METHODS[options.method].title}, SimpleITK"
    )
    less = []
    for pair in (pairs[name] for name in worst[: options.pairs]):
        fixed, moving = load(pair.fixed), load(pair.moving)
        own, peer = (
            both_hd95_mm(fixed, moving, METHODS[name].run(fixed, moving, "random", 1))
            for name in (options.method, PEER)
        )
        less.append(np.subtract(own, peer))
        print(f"{pair.id:18}{own[0]:>7.2f}{peer[0]:>7.2f} whole{own[1]:>9.2f}{peer[1]:>7.2f} common", flush=True)
    whole, common = np.mean(less, axis=0)
    print(f"mean difference over {len(less)} pairs: {whole:+.2f} whole, {common:+.2f} common")


if __name__ == "__main__":
    main()
