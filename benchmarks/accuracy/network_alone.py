"""The anatomy network alone, without refinement: label Dice between people, target error on known moves.

    python -m benchmarks.accuracy.network_alone --split validation|dev [--model NAME] [--pairs 60] [--conditions A,B]

Images are encoded once and paired in process; the numbers do not depend on that. Prints one row per condition.
Painted heads are those of the validation anatomies, whatever the split.
"""

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common.contrast_heads import THICK_MM, painted_heads, visits
from benchmarks.common.heads import Head, brain_points, label_dice, load_heads, oblique, oracle, random_turn, turned
from stnreg.evaluation.bootstrap import bootstrap_mean
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import encode, encode_both, threads_of_each
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.load import load as load_encoder
from stnreg.resampling.block_mean import BlockMeans
from stnreg.resampling.resample import resample

Row = dict[str, object]
ALL = "straight,oblique,turned,known,painted,t1 to t2,t1 to flair,visits,stripped,half field,cost"


def all_pairs(heads: list[Head], count: int) -> list[tuple[int, int]]:
    """Return `count` pairs of different heads, the same for every method and every run."""
    pairs = [(i, j) for i in range(len(heads)) for j in range(i + 1, len(heads))]
    order = np.random.default_rng(11).permutation(len(pairs))
    return [pairs[k] for k in order[:count]]


def two_people(heads: list[Head], pairs: list[tuple[int, int]], model, kind: str) -> list[Row]:
    """Measure label Dice of straight, oblique or turned pairs beside the oracle's."""
    rng = np.random.default_rng(5)
    fixed = [encode(h.image, h.grid, model) for h in heads]
    rows = []
    for i, j in pairs:
        move = np.eye(4)
        if kind != "straight":
            move = random_turn(rng, 180 if len(rows) % 2 else 60, 30, heads[j].grid.center_lps)
        moving = {"straight": lambda h, m: h, "oblique": oblique, "turned": turned}[kind](heads[j], move)
        there = fixed[j] if kind == "straight" else encode(moving.image, moving.grid, model)
        fixed_to_moving = fit_pair(fixed[i], there)
        rows.append(
            {
                "condition": kind,
                "pair": f"{heads[i].name}-{heads[j].name}",
                "dice": label_dice(heads[i], moving, fixed_to_moving),
                "oracle": label_dice(heads[i], moving, oracle(heads[i], moving)),
                "agreement": map_agreement(fixed[i], there, fixed_to_moving),
            }
        )
    return rows


def known_moves(heads: list[Head], count: int, model, name: str, change: Callable[[Head, int], Head]) -> list[Row]:
    """Measure the error on one head that is changed, and then moved by a known affine."""
    rng = np.random.default_rng(6)
    rows = []
    for k in range(count):
        head = heads[k % len(heads)]
        truth = random_move(rng, head)
        fixed = encode(augment_scan(head.image, rng), head.grid, model)
        moving = moved(change(head, k), truth)
        there = encode(augment_scan(moving.image, rng), moving.grid, model)
        found = fit_pair(fixed, there)
        rows.append(
            {
                "condition": name,
                "pair": f"{head.name}-{k}",
                "error_mm": mean_error_mm(found, truth, brain_points(head)),
                "agreement": map_agreement(fixed, there, found),
            }
        )
    return rows


def random_move(rng: np.random.Generator, head: Head) -> np.ndarray:
    """Return a fixed_to_moving of up to 180 degrees, 30 mm, +-20 % scale and shear 0.1 about the grid's middle."""
    center = head.grid.center_lps
    shape = Parameters((0, 0, 0), (0, 0, 0), tuple(rng.uniform(0.8, 1.2, 3)), tuple(rng.uniform(-0.1, 0.1, 3)))
    return compose(random_turn(rng, 180, 30, center), from_parameters(shape, center))


def moved(head: Head, fixed_to_moving: np.ndarray) -> Head:
    """Resample a head, moved, onto an upright 2 mm grid that holds it all."""
    corners = apply_affine(fixed_to_moving, head.grid.corners_lps())
    low, high = corners.min(0), corners.max(0)
    grid = Grid.from_parts(np.ceil((high - low) / 2).astype(int) + 1, (2, 2, 2), low)
    back = invert(fixed_to_moving)
    return Head(
        head.name,
        resample(head.image, head.grid, grid, back),
        resample(head.labels, head.grid, grid, back, interp="nearest"),
        grid,
    )


def augment_scan(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give an image its own noise (3 to 6 % of its bright tissue) and bias field (+-30 %)."""
    top = float(np.percentile(image[image > 0], 90))
    lines = [np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape]
    a, b, c = (0.17 * np.sin(rng.uniform(0, 6) + rng.uniform(0.5, 2.5) * line) for line in lines)
    field = np.exp(a[:, None, None] + b[None, :, None] + c[None, None, :])
    return image * field + rng.normal(0, top * rng.uniform(0.03, 0.06), image.shape).astype(np.float32)


def stripped(head: Head, _: int) -> Head:
    """Keep the brain alone."""
    return Head(head.name, np.where(head.labels > 0, head.image, 0), head.labels, head.grid)


def half_field(head: Head, k: int) -> Head:
    """Leave half of the field of view: a half space through the head, along the axes in turn."""
    index = np.argwhere(head.labels > 0)
    axis, side = k % 3, (k // 3) % 2
    middle = int(np.median(index[:, axis]))
    keep = [slice(None)] * 3
    keep[axis] = slice(middle, None) if side else slice(0, middle)
    image = np.zeros_like(head.image)
    image[tuple(keep)] = head.image[tuple(keep)]
    return Head(head.name, image, head.labels, head.grid)


def other_contrast(heads: list[Head], contrast: str) -> Callable[[Head, int], Head]:
    """Return what exchanges each painted T1 head for the same anatomy in another contrast."""
    others = painted_heads(contrast, len(heads) // 3, THICK_MM if contrast == "flair" else (1, 1, 1))
    of = {t1.name: other for t1, other in zip(heads, others, strict=True)}
    return lambda head, _: of[head.name]


def within_visits(model) -> list[Row]:
    """Measure T1 to T2 and to FLAIR within each visit of a patient, whose headers share a world to about 1 mm."""
    rows = []
    for visit, scans in visits().items():
        seen = {name: encode(scan.image, scan.grid, model) for name, scan in scans.items()}
        brain = seen["T1W"].maps_grid
        inside = np.argwhere(seen["T1W"].brain > 0.5)[:, ::-1].astype(float)
        points = apply_affine(brain.index_to_lps, inside)
        for other in ("T2W", "FLAIR"):
            found = fit_pair(seen["T1W"], seen[other])
            error_mm = mean_error_mm(found, np.eye(4), points)
            agreement = map_agreement(seen["T1W"], seen[other], found)
            rows.append({"condition": "visits", "pair": f"{visit} T1W-{other}", "error_mm": error_mm,
                         "agreement": agreement})  # fmt: skip
    return rows


def symmetric(encodings: list[Encoding], heads: list[Head]) -> float:
    """Return the largest distance from the identity, mm, of there after back over all pairs of a few heads."""
    worst = 0.0
    for i, a in enumerate(encodings):
        for b in encodings[i + 1 :]:
            both = fit_pair(b, a) @ fit_pair(a, b)
            worst = max(worst, mean_error_mm(both, np.eye(4), brain_points(heads[i])))
    return worst


def cost_and_symmetry(heads: list[Head], name: str, threads: int) -> None:
    """Print how far a pair's two directions composed are from the identity, and the seconds that a pair takes."""
    model = load_encoder(find(name), threads=threads_of_each(threads, 2), device="cpu").model
    encode(heads[0].image, heads[0].grid, model)  # the first call also loads SimpleITK
    encodings, seconds = [], []
    for a, b in zip(heads[::2], heads[1::2], strict=False):
        start = time.perf_counter()
        encodings += encode_both(BlockMeans(a.image, a.grid), BlockMeans(b.image, b.grid), model, threads)
        seconds.append(time.perf_counter() - start)
    print(f"there and back: at most {symmetric(encodings, heads):.1e} mm from the identity")
    median_s, worst_s = np.median(seconds), max(seconds)
    print(f"seconds: median {median_s:.2f} a pair, {worst_s:.2f} at most, {threads} threads, images in memory")


def summary(rows: list[Row]) -> None:
    """Print one line per condition."""
    for name in dict.fromkeys(r["condition"] for r in rows):
        mine = [r for r in rows if r["condition"] == name]
        if "dice" in mine[0]:
            dice, top = (np.array([r[k] for r in mine], float) for k in ("dice", "oracle"))
            _, low, high, _ = bootstrap_mean(dice - top)
            print(
                f"{name:12s} n={len(mine):3d} dice {dice.mean():.4f} oracle {top.mean():.4f} "
                f"difference {np.mean(dice - top):+.4f} [{low:+.4f}, {high:+.4f}] lost {(dice < 0.6 * top).sum()}"
            )
        else:
            error = np.array([r["error_mm"] for r in mine], float)
            print(
                f"{name:12s} n={len(mine):3d} median {np.median(error):.2f} mm 95% {np.percentile(error, 95):.2f} "
                f"worst {error.max():.2f} over 10 mm {(error > 10).sum()}"
            )


def main() -> None:
    """Run every condition and print its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("validation", "dev"), default="validation")
    parser.add_argument("--model", default="anatomy")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--moves", type=int, default=150)
    parser.add_argument("--conditions", default=ALL, help=f"which rows, by commas; {ALL}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    model = load_encoder(find(options.model), threads=options.threads, device="cpu").model
    heads = load_heads(options.split)
    pairs = all_pairs(heads, options.pairs)
    rows = []
    wanted = options.conditions.split(",")
    for kind in (k for k in ("straight", "oblique", "turned") if k in wanted):
        rows += two_people(heads, pairs, model, kind)
        summary(rows[-len(pairs) :])
    changes = {"known": lambda h, k: h, "stripped": stripped, "half field": half_field}
    for name in (k for k in changes if k in wanted):
        rows += known_moves(heads, options.moves, model, name, changes[name])
        summary(rows[-options.moves :])
    painted = painted_heads() if {"painted", "t1 to t2", "t1 to flair"} & set(wanted) else []
    for name in (k for k in ("painted", "t1 to t2", "t1 to flair") if k in wanted):
        contrast = name.removeprefix("t1 to ")
        change = (lambda h, k: h) if name == "painted" else other_contrast(painted, contrast)
        rows += known_moves(painted, options.moves, model, name, change)
        summary(rows[-options.moves :])
    if "visits" in wanted and options.split == "dev":
        rows += within_visits(model)
        summary(rows[-4:])
    if "cost" in wanted:
        cost_and_symmetry(heads, options.model, options.threads)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            names = ("condition", "pair", "dice", "oracle", "error_mm", "agreement")
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
