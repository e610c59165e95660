"""Which order of the four transformations trains best: every order of `separate`, briefly, at a small grid.

    python -m benchmarks.paper.transform_order [--steps 150] [--seeds 3] [--jobs 2] [--most N]
                                               [--orders shear,scale,rotation,translation ...]
    python -m benchmarks.paper.transform_order --show

The authors found shear, scale, rotation, translation best. Here each of the 24 orders (the one that acts on a point
first named first) trains from scratch, unsupervised and without augmentation, as published, on the same random moves of
the same heads, and is scored on moved validation heads. The grid is so small that a training takes five seconds: all
orders can have several seeds. A seed sets the first weights and the moves, which are composed in the authors' order.
Rows that are in the CSV are not trained again; `--most` stops after N trainings.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.common.heads import VALIDATION_HEADS, shared_folder
from benchmarks.paper.order_statistics import compare
from stnreg.networks.parameters import ORDER

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/order.csv"
SIZE, SPACING_MM = 16, 14.0
CHANNELS = (16, 32, 48)
LEARNING_RATE = 3e-3
# Moves that a brief training learns; wider ones are a curriculum of hours.
MOVES = {
    "start_deg": 20.0,
    "rotation_deg": 20.0,
    "translation_mm": 20.0,
    "scale": 0.15,
    "shear": 0.08,
    "curriculum": 0.0,
}
FIGURES = ("mse_same_before", "mse_same", "error_mm_before", "error_mm", "error_mm_3")
COLUMNS = ("order", "seed", "steps", *FIGURES)
ERROR, ERROR_BEFORE = FIGURES.index("error_mm"), FIGURES.index("error_mm_before")
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
    from stnreg.training.config import UNTOUCHED, MovesConfig
    from stnreg.training.data import load_scans
    from stnreg.training.loop import train
    from stnreg.training.pair import PairTask
    from stnreg.training.presets import preset

    config = preset("default", "separate")
    model = replace(config.pair.model, size=SIZE, channels=CHANNELS, order=order)
    pair = replace(
        config.pair, model=model, spacing_mm=SPACING_MM, batch=4, same_share=1.0, validation_pairs=48,
        moves=MovesConfig(**MOVES), augment=UNTOUCHED,
    )  # fmt: skip
    loop = replace(
        config.loop, seed=seed, epochs=1, steps_per_epoch=steps, warmup_steps=steps // 10, ema=0.99, precision="f32",
        learning_rate=LEARNING_RATE, device="cpu", threads=1, log_every=steps, validate_every=steps,
        checkpoint_every=steps,
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
    packed = packed_scans(options.work / f"order-{SIZE}.npz")
    done = {(row["order"], row["seed"], row["steps"]) for row in read_rows(options.csv)}
    tasks = [(order, seed) for seed in range(options.seeds) for order in orders]
    tasks = [(o, seed) for o, seed in tasks if (",".join(o), str(seed), str(options.steps)) not in done]
    tasks = tasks[: options.most]
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(_trained(tasks, options, packed), start=1):
        is_new = not options.csv.exists()
        with options.csv.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print(f"{number} of {len(tasks)} trainings", flush=True)


def _trained(
    tasks: list[tuple[tuple[str, ...], int]], options: argparse.Namespace, packed: Path
) -> Iterator[dict[str, str]]:
    """Yield the row of each training as it ends."""
    if options.jobs == 1:
        yield from (train_one(order, seed, options.steps, packed) for order, seed in tasks)
        return
    # Processes rather than threads: torch's number of threads is a process' own.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(train_one, order, seed, options.steps, packed) for order, seed in tasks]
        for future in as_completed(futures):
            yield future.result()


def show(rows: list[dict[str, str]], steps: int) -> None:
    """Print a line for each order, the best first, and whether orders differ by more than seeds do."""
    by_order: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if int(row["steps"]) == steps:
            by_order.setdefault(row["order"], {})[row["seed"]] = [float(row[name]) for name in FIGURES]
    trainings = sum(len(seeds) for seeds in by_order.values())
    print(f"{trainings} trainings of {steps} steps, {SIZE}^3 voxels of {SPACING_MM:g} mm; means over seeds")
    told, summary = _compared(by_order)
    print(f"{'order':37}{'seeds':>6}{'MSE':>9}{'mm, one pass':>14}{'mm, three':>11}{'less the authors':>18}")
    means = {order: np.mean(list(values.values()), axis=0) for order, values in by_order.items()}
    for order in sorted(means, key=lambda order: means[order][ERROR]):
        _, mse, _, once, thrice = means[order]
        line = f"{order:37}{len(by_order[order]):>6}{mse:>9.5f}{once:>14.2f}{thrice:>11.2f}"
        print(f"{line}  {told.get(order, '')}".rstrip())
    if means:
        before = np.mean(list(means.values()), axis=0)
        print(f"{'before':43}{before[FIGURES.index('mse_same_before')]:>9.5f}{before[ERROR_BEFORE]:>14.2f}")
    print(*summary, sep="\n", end="\n" if summary else "")


def _compared(by_order: dict[str, dict[str, list[float]]]) -> tuple[dict[str, str], list[str]]:
    """Compare the orders that have the seeds of the authors' order, where those are enough.

    Returns
    -------
    told : dict of str
        By order, the error after one pass less that of the authors' order, with its interval.
    summary : list of str
    """
    theirs = ",".join(ORDER)
    seeds = sorted(by_order.get(theirs, ()))
    compared = [theirs, *(o for o, own in by_order.items() if o != theirs and set(seeds) <= set(own))]
    if len(seeds) < LEAST_SEEDS or len(compared) == 1:
        return {}, []
    errors_mm = np.array([[by_order[order][seed][ERROR] for seed in seeds] for order in compared])
    found = compare(errors_mm, 0)
    differs = np.abs(found.less_reference) > found.half_width
    told = {theirs: "the authors' order"}
    for order, less, is_apart in zip(compared[1:], found.less_reference[1:], differs[1:], strict=True):
        interval = f"[{less - found.half_width:+.2f}, {less + found.half_width:+.2f}]"
        told[order] = f"{less:+.2f} {interval}{' differs' if is_apart else ''}"
    between = errors_mm.mean(axis=1).std(ddof=1)
    return told, [
        f"deviation, mm: {found.seed_spread:.2f} between trainings of one order, "
        f"{found.seed_spread / len(seeds) ** 0.5:.2f} of a mean of {len(seeds)}; "
        f"{between:.2f} between the means of orders",
        f"all orders alike: p = {found.p_value:.2g} (F test)",
        f"differ from the authors' order (95 % intervals for all {len(compared) - 1} together): "
        f"{differs.sum() or 'none'}, better {(differs & (found.less_reference < 0)).sum()}",
    ]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--orders", nargs="*", default=None, help="each as four names with commas; all 24 when left out"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=int, help="stop after so many trainings")
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
