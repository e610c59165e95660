"""The table of AIRNet (Chee and Wu): Jaccard index, modified Hausdorff distance and seconds, before and after.

    python -m benchmarks.paper.airnet measure [--pairs 30] [--methods A,B]
    python -m benchmarks.paper.airnet show

They are measured on the temporal lobe, as theirs, of one person moved (the column `moved20` of the paper's tables) and
of two people (`random`). Rows are kept in benchmarks/results/airnet.csv. The published numbers are not known here: the
paper quotes the caption of the table, without its figures.
"""

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.paper.columns import COLUMNS, Maker
from benchmarks.paper.methods import METHODS
from benchmarks.paper.run import load
from stnreg.datasets.pair_table import Pair
from stnreg.evaluation.overlap import count_labels, jaccard
from stnreg.evaluation.surface import modified_hausdorff_mm, surface_distances
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume
from stnreg.resampling.resample import resample

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/airnet.csv"
TEMPORAL_LOBE = (132, 133, 154, 155, 184, 185, 200, 201, 202, 203, 206, 207)  # DLMUSE: gyri, planum temporale, pole
SETS = {"moved20": "one person moved", "random": "two people"}
LEAST_PAIRS = 30
Run = Callable[[Volume, Volume, str, int], Matrix]


def _airnet(*, refine: bool) -> Run:
    def run(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
        import stnreg

        return stnreg.register(
            fixed, moving, model="airnet", refine=refine, device="cpu", threads=threads
        ).fixed_to_moving

    return run


ROWS: dict[str, tuple[str, Run]] = {
    "none": ("before", METHODS["none"].run),
    "sitk-affine": ("SimpleITK", METHODS["sitk-affine"].run),
    "airnet": ("AIRNet", _airnet(refine=False)),
    "airnet-refined": ("AIRNet, refined", _airnet(refine=True)),
}


def temporal_lobe(path: str | Path) -> Volume:
    """Return the mask of the temporal lobe of a DLMUSE label map."""
    labels = load_volume(path)
    return Volume(np.isin(labels.array, TEMPORAL_LOBE).astype(np.uint8), labels.grid)


def figures(fixed: Volume, moving: Volume, fixed_to_moving: Matrix) -> tuple[float, float]:
    """Return the Jaccard index and the modified Hausdorff distance, mm, of two masks."""
    moved = resample(moving.array, moving.grid, fixed.grid, fixed_to_moving, "nearest")
    overlap = float(jaccard(count_labels(fixed.array, moved))[0])
    return overlap, modified_hausdorff_mm(surface_distances(fixed.array > 0, moved > 0, fixed.grid, threads=1))


def measure(options: argparse.Namespace) -> None:
    """Measure what is not in the CSV yet, pair by pair."""
    methods = options.methods.split(",") if options.methods else list(ROWS)
    done = {(r["set"], r["pair"], r["method"]) for r in _read()}
    for name in SETS:
        maker: Maker = COLUMNS[name]
        for pair in maker(options.work / name, options.pairs, 1)[: options.pairs]:
            left = [m for m in methods if (name, pair.id, m) not in done]
            if left:
                _append(_rows(name, pair, left))
                print(name, pair.id, flush=True)


def _rows(name: str, pair: Pair, methods: list[str]) -> list[tuple[str, ...]]:
    fixed, moving = load(pair.fixed), load(pair.moving)
    assert pair.fixed_labels is not None
    assert pair.moving_labels is not None
    masks = temporal_lobe(pair.fixed_labels), temporal_lobe(pair.moving_labels)
    rows = []
    for method in methods:
        began = time.process_time()
        found = ROWS[method][1](fixed, moving, name, 1)
        seconds = time.process_time() - began
        overlap, distance_mm = figures(*masks, found)
        rows.append((name, pair.id, method, f"{overlap:.6g}", f"{distance_mm:.6g}", f"{seconds:.4g}"))
    return rows


def _read() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _append(rows: list[tuple[str, ...]]) -> None:
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(("set", "pair", "method", "jaccard", "mhd_mm", "seconds"))
        writer.writerows(rows)


def show(options: argparse.Namespace) -> None:
    """Print the table."""
    rows = _read()
    print("Temporal lobe; CPU seconds of one thread, mean (standard deviation)")
    for name, title in SETS.items():
        print(f"{title:18}{'pairs':>6}{'mean Jaccard':>15}{'mean MHD mm':>14}{'seconds':>16}")
        for method, (label, _) in ROWS.items():
            own = [r for r in rows if (r["set"], r["method"]) == (name, method)]
            if len(own) < LEAST_PAIRS:
                print(f"{label:18}{len(own):>6}{'-':>15}{'-':>14}{'-':>16}")
                continue
            overlap, far, took = (np.array([float(r[n]) for r in own]) for n in ("jaccard", "mhd_mm", "seconds"))
            print(
                f"{label:18}{len(own):>6}{overlap.mean():>15.3f}{np.nanmean(far):>14.2f}"
                f"{f'{took.mean():.2f} ({took.std():.2f})':>16}"
            )


def main() -> None:
    """Measure or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("measure", "show"))
    parser.add_argument("--pairs", type=int, default=LEAST_PAIRS, help="of each set")
    parser.add_argument("--methods", default="", help=f"of {', '.join(ROWS)}; all when left out")
    parser.add_argument("--work", type=Path, default=ROOT / "build/paper", help="where pairs are kept")
    options = parser.parse_args()
    measure(options) if options.verb == "measure" else show(options)


if __name__ == "__main__":
    main()
