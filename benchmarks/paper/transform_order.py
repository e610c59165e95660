"""Which order of the four transformations trains best: every order of `separate`, briefly, at a small grid.

    python -m benchmarks.paper.transform_order [--steps 400] [--seeds 2] [--jobs 2]
                                               [--orders shear,scale,rotation,translation ...]
    python -m benchmarks.paper.transform_order --show

The authors found shear, scale, rotation, translation best. Here each of the 24 orders (the one that acts on a point
first named first) trains from scratch, unsupervised, on the same random moves of the same heads (up to 15 degrees and
15 mm) at 32^3 voxels of 8 mm, and is scored on moved validation heads. The random moves themselves are composed in the
authors' order.
Rows that are in the CSV are not trained again.
"""

import argparse
import csv
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t

from benchmarks.common.heads import VALIDATION_HEADS, shared_folder
from stnreg.networks.parameters import ORDER

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/order.csv"
SIZE, SPACING_MM = 32, 8.0
# Moves that a brief training learns; wider ones are a curriculum of hours.
MOVES = {"start_deg": 15.0, "rotation_deg": 15.0, "translation_mm": 15.0, "scale": 0.1, "shear": 0.05}
FIGURES = ("mse_two", "mse_same", "error_mm", "error_mm_3")
COLUMNS = ("order", "seed", "steps", *FIGURES)
LEAST_SEEDS = 3


def packed_scans(path: Path) -> Path:
    """Pack the training heads at twice the resolution of the network, once; return the path."""
    from stnreg.training.data import pack_scans, save_scans
    from stnreg.training.listing import scans_of_folders

    if not path.exists():
        listed = scans_of_folders([shared_folder() / "data/train/ixi"], VALIDATION_HEADS)
        save_scans(path, pack_scans(listed, size=2 * SIZE, spacing_mm=SPACING_MM / 2))
    return path


def train_one(order: tuple[str, ...], seed: int, steps: int, packed: Path) -> dict[str, str]:
    """Train one order with one seed, and return its row."""
    from stnreg.training.checkpoint import load_checkpoint
    from stnreg.training.config import MovesConfig
    from stnreg.training.data import load_scans
    from stnreg.training.loop import train
    from stnreg.training.pair import PairTask
    from stnreg.training.presets import preset

    config = preset("default", "separate")
    model = replace(config.pair.model, size=SIZE, channels=(16, 32, 48), order=order)
    pair = replace(
        config.pair, model=model, spacing_mm=SPACING_MM, batch=8, validation_pairs=48, moves=MovesConfig(**MOVES)
    )
    loop = replace(
        config.loop, seed=seed, epochs=1, steps_per_epoch=steps, warmup_steps=steps // 10, ema=0.99, precision="f32",
        device="cpu", threads=1, log_every=steps, validate_every=steps, checkpoint_every=steps,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        task = PairTask(pair, load_scans(packed), seed=seed, steps=steps)
        scores = load_checkpoint(train(task, loop, Path(folder), settings={}))["scores"]
    figures = {name: f"{scores[name]:.6g}" for name in FIGURES}
    return {"order": ",".join(order), "seed": str(seed), "steps": str(steps), **figures}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows trained so far; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(options: argparse.Namespace, orders: list[tuple[str, ...]]) -> None:
    """Train what is not in the CSV yet."""
    packed = packed_scans(options.work / "order.npz")
    done = {(row["order"], row["seed"], row["steps"]) for row in read_rows(options.csv)}
    tasks = [(order, seed) for seed in range(options.seeds) for order in orders]
    tasks = [(o, seed) for o, seed in tasks if (",".join(o), str(seed), str(options.steps)) not in done]
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    # Processes rather than threads: torch's number of threads is a process' own.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(train_one, order, seed, options.steps, packed) for order, seed in tasks]
        for number, future in enumerate(as_completed(futures), start=1):
            is_new = not options.csv.exists()
            with options.csv.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(future.result())
            print(f"{number} of {len(tasks)} trainings", flush=True)


def show(rows: list[dict[str, str]], steps: int) -> None:
    """Print a line for each order, the best first, and how far seeds alone are apart."""
    own = [row for row in rows if int(row["steps"]) == steps]
    by_order: dict[str, list[list[float]]] = {}
    for row in own:
        by_order.setdefault(row["order"], []).append([float(row[name]) for name in FIGURES])
    means = {order: np.mean(values, axis=0) for order, values in by_order.items()}
    print(f"{len(own)} trainings of {steps} steps, {SIZE}^3 voxels of {SPACING_MM:g} mm; means over seeds")
    print(f"{'order':40} {'seeds':>5} {'MSE two':>9} {'MSE one':>9} {'mm, one pass':>12} {'mm, three':>9}")
    for order, (two, same, once, thrice) in sorted(means.items(), key=lambda item: item[1][FIGURES.index("error_mm")]):
        theirs = "  the authors' order" if order == ",".join(ORDER) else ""
        print(f"{order:40} {len(by_order[order]):5d} {two:9.5f} {same:9.5f} {once:12.2f} {thrice:9.2f}{theirs}")
    _show_intervals({order: np.array(values)[:, 2] for order, values in by_order.items()})
    spreads = [np.std([v[2] for v in values], ddof=1) for values in by_order.values() if len(values) > 1]
    if spreads and len(means) > 1:
        between = np.std([mean[2] for mean in means.values()], ddof=1)
        print(
            f"spread (deviation) of one pass: {np.mean(spreads):.2f} mm between seeds, {between:.2f} mm between orders"
        )


def _show_intervals(errors_mm: dict[str, np.ndarray]) -> None:
    """Print how orders of three seeds or more differ from the authors', seed by seed: the same seed has the same moves.

    The intervals are Student's, for all orders together (Bonferroni).
    """
    theirs = errors_mm.get(",".join(ORDER), np.empty(0))
    others = {order: own for order, own in errors_mm.items() if len(own) >= LEAST_SEEDS and order != ",".join(ORDER)}
    if len(theirs) < LEAST_SEEDS or not others:
        return
    print(f"one pass less the authors' order, mm, mean over seeds [95 % interval for all {len(others)} together]")
    differ = 0
    for order, own in others.items():
        seeds = min(len(own), len(theirs))
        less = own[:seeds] - theirs[:seeds]
        half = student_t.ppf(1 - 0.025 / len(others), seeds - 1) * less.std(ddof=1) / seeds**0.5
        differs = abs(less.mean()) > half
        differ += differs
        verdict = "differs" if differs else "does not differ"
        print(f"{order:40} {less.mean():+.2f} [{less.mean() - half:+.2f}, {less.mean() + half:+.2f}] {verdict}")
    print(f"{differ or 'none'} of {len(others)} orders differ{'s' if differ == 1 else ''} from the authors'")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--orders", nargs="*", default=None, help="each as four names with commas; all 24 when left out"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="only print what is in the CSV")
    parser.add_argument("--csv", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=ROOT / "build/paper", help="where packed scans are kept")
    options = parser.parse_args()
    orders = [tuple(text.split(",")) for text in options.orders] if options.orders else list(permutations(ORDER))
    if not options.show:
        measure(options, orders)
    show(read_rows(options.csv), options.steps)


if __name__ == "__main__":
    main()
