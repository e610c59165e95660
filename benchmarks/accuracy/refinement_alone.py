"""How close the refinement alone comes, from starts that are a few mm and degrees off; run from the repository root.

    python -m benchmarks.accuracy.refinement_alone [--kinds known,smooth,loss,noisy,t2,flair,people] [--seeds 3]
                                                  [--cache DIR]

One head: mean and worst distance from the truth over the brain, mm, and the error of the volume, per cent.
Two people: mean label Dice less that of the least-squares affine on the true label centroids.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.heads import brain_points, label_centroids, label_dice, load_heads, oracle
from benchmarks.common.painted import (
    VALIDATION_ANATOMIES,
    Pair,
    Scan,
    Scanner,
    load,
    painted_pair,
    perturbed,
    save,
    soft_brain,
)
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.fitting import fit_similarity
from stnreg.registration.refine import Refined, refine_affine

OTHER_GRID, THICK = (0.9, 0.9, 1.2), (0.9, 0.9, 4.0)
PARTNER = 5  # each head is paired with the fifth one after it
Row = tuple[str, dict[str, float], Refined]


def known(kind: str, anatomy: int, seed: int, cache: Path | None) -> Pair:
    """Paint a pair of one kind, or take it from the cache."""
    path = cache / f"{kind}{anatomy}-{seed}.npz" if cache else None
    if path and path.exists():
        return load(path)
    rng = np.random.default_rng([anatomy, seed, 1])
    noises = [float(n) for n in (rng.uniform(0.03, 0.06, 2) if kind != "noisy" else (0.18, 0.18))]
    first = Scanner(noise=noises[0])
    second = {
        "smooth": Scanner(noise=noises[1], spacing_mm=OTHER_GRID),
        "t2": Scanner("t2", noise=noises[1]),
        "flair": Scanner("flair", noise=noises[1], spacing_mm=THICK),
    }.get(kind, Scanner(noise=noises[1]))
    change = kind if kind in ("smooth", "loss") else ""
    pair = painted_pair(anatomy, seed, first, second, rigid=kind != "known", change=change)
    if path:
        cache.mkdir(parents=True, exist_ok=True)
        save(pair, path)
    return pair


def one_head(kind: str, seeds: int, cache: Path | None, threads: int) -> Iterator[Row]:
    """Refine painted pairs of one head, from 5 mm, 5 degrees and up to 3 % off."""
    for seed in range(seeds):
        for anatomy in VALIDATION_ANATOMIES:
            pair = known(kind, anatomy, seed, cache)
            rng = np.random.default_rng([anatomy, seed, 2])
            start = perturbed(pair.fixed_to_moving, pair.points, rng, 5, 5, 0.03)
            refined, seconds = timed(pair.fixed, pair.moving, start, threads)
            off = apply_affine(refined.fixed_to_moving, pair.points) - apply_affine(pair.fixed_to_moving, pair.points)
            distance = np.linalg.norm(off, axis=1)
            volume = np.linalg.det(refined.fixed_to_moving[:3, :3]) / np.linalg.det(pair.fixed_to_moving[:3, :3]) - 1
            yield (
                pair.name,
                {"mean_mm": distance.mean(), "worst_mm": distance.max(), "volume_%": 100 * volume} | seconds,
                refined,
            )


def two_people(threads: int) -> Iterator[Row]:
    """Refine real heads of two people, from the label-centroid similarity pushed off by 3 mm and 3 degrees."""
    heads = load_heads("validation")
    for k, fixed in enumerate(heads):
        moving = heads[(k + PARTNER) % len(heads)]
        f, m = label_centroids(fixed), label_centroids(moving)
        both = sorted(set(f) & set(m))
        similarity = fit_similarity(np.array([f[c] for c in both]), np.array([m[c] for c in both]))
        start = perturbed(similarity, brain_points(fixed), np.random.default_rng(k), 3, 3)
        scans = [Scan(h.image, h.grid, *soft_brain(h.labels > 0, h.grid, np.eye(4))) for h in (fixed, moving)]
        refined, seconds = timed(scans[0], scans[1], start, threads)
        dice = label_dice(fixed, moving, refined.fixed_to_moving)
        level = label_dice(fixed, moving, oracle(fixed, moving))
        yield f"{fixed.name}-{moving.name}", {"dice": dice, "less_oracle": dice - level} | seconds, refined


def timed(fixed: Scan, moving: Scan, start: np.ndarray, threads: int) -> tuple[Refined, dict[str, float]]:
    """Refine, and say how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    refined = refine_affine(
        (fixed.image, fixed.grid),
        (moving.image, moving.grid),
        start,
        fixed_brain=(fixed.brain, fixed.brain_grid),
        moving_brain=(moving.brain, moving.brain_grid),
        threads=threads,
    )
    return refined, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def show(kind: str, rows: Iterator[Row]) -> None:
    """Print each row as it comes, then the mean and the worst of each column."""
    table = []
    for name, figures, refined in rows:
        table.append(figures)
        said = f"correlation {refined.local_correlation:.2f} {'one' if refined.same_person else 'two'} {refined.steps}"
        print(f"{kind:7} {name:18}", *(f"{k} {v:7.3f}" for k, v in figures.items()), said, flush=True)
    for title, reduce in (("mean", np.mean), ("least", np.min), ("most", np.max)):
        columns = {k: float(reduce([row[k] for row in table])) for k in table[0]}
        print(f"{kind:7} {title:18}", *(f"{k} {v:7.3f}" for k, v in columns.items()), flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="known,smooth,loss,noisy,t2,flair,people")
    parser.add_argument("--seeds", type=int, default=3, help="pairs of each anatomy")
    parser.add_argument("--cache", type=Path, help="folder to keep painted pairs in")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for kind in args.kinds.split(","):
        show(
            kind, two_people(args.threads) if kind == "people" else one_head(kind, args.seeds, args.cache, args.threads)
        )


if __name__ == "__main__":
    main()
