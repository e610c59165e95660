"""The pairs of `benchmarks.accuracy.run`: what each row is made of, pair by pair, the same in every run.

Rows of 1 mm are painted from the validation anatomies (the only ones there are at 1 mm with a truth for every voxel);
rows of 2 mm are real `dev` heads; `visits` are the scans of one patient. Two images of a pair never share a lattice,
noise, texture or bias field.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.common import contrast_variants
from benchmarks.common.heads import Head, brain_points, label_dice, load_heads, oracle, random_turn, turned
from benchmarks.common.painted import VALIDATION_ANATOMIES, Scan, Scanner, painted_pair
from benchmarks.common.variants import Variant, generator, make
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, save_volume

Array = np.ndarray
OTHER_GRID_MM, THICK_MM = (0.9, 0.9, 1.2), (1.0, 1.0, 5.0)
Figures = dict[str, float]


@dataclass(frozen=True, eq=False)
class Known:
    """One truth for every point: judges how far a transform is from it.

    Attributes
    ----------
    truth : (4, 4) float64
        Fixed to moving, LPS mm.
    points : (N, 3) float64
        Of the fixed brain, LPS mm.
    """

    truth: Array
    points: Array

    def judge(self, fixed_to_moving: Array) -> Figures:
        """Return `error_mm`, `p95_mm`, and by how many per cent the volume is wrong."""
        off = apply_affine(fixed_to_moving, self.points) - apply_affine(self.truth, self.points)
        distance = np.linalg.norm(off, axis=1)
        volume = np.linalg.det(fixed_to_moving[:3, :3]) / np.linalg.det(self.truth[:3, :3]) - 1
        return {
            "error_mm": float(distance.mean()),
            "p95_mm": float(np.percentile(distance, 95)),
            "volume_pct": float(100 * volume),
        }


@dataclass(frozen=True, eq=False)
class People:
    """Two `dev` heads: judges a transform by the label Dice on the labels as they were drawn, resampled once.

    Attributes
    ----------
    fixed, moving : str
        Names of the heads.
    move : (4, 4) float64
        What happened to the moving head, LPS mm.
    """

    fixed: str
    moving: str
    move: Array

    @property
    def points(self) -> Array:
        """Points of the fixed brain, (N, 3) LPS mm."""
        return brain_points(next(head for head in dev_heads() if head.name == str(self.fixed)))

    def judge(self, fixed_to_moving: Array) -> Figures:
        """Return `dice` and the `oracle`'s, least squares on the true labels' centroids."""
        heads = {head.name: head for head in dev_heads()}
        fixed, moving = heads[str(self.fixed)], heads[str(self.moving)]
        best = label_dice(fixed, moving, oracle(fixed, moving))
        return {"dice": label_dice(fixed, moving, compose(invert(self.move), fixed_to_moving)), "oracle": best}


@dataclass(frozen=True, eq=False)
class BenchPair:
    """Two images, (array, Grid) with intensities of any real type, and how a transform between them is judged."""

    fixed: tuple[Array, Grid]
    moving: tuple[Array, Grid]
    judge: Known | People

    def write(self, folder: Path) -> None:
        """Write both images as 16-bit NIfTI, as a scanner would, and then the truth."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, (array, grid) in (("fixed", self.fixed), ("moving", self.moving)):
            top = float(np.percentile(array, 99.5)) or 1.0
            whole = np.rint(np.clip(array / top, 0, 30) * 1000).astype(np.int16)
            save_volume(folder / f"{name}.nii.gz", whole, like=Volume(whole, grid), dtype="same")
        with (folder / "truth.part").open("wb") as file:
            np.savez(file, **vars(self.judge))
        (folder / "truth.part").rename(folder / "truth.npz")


def load_judge(folder: Path) -> Known | People | None:
    """Return how a pair that lies in a folder is judged; None where it is not there, or not whole."""
    if not (folder / "truth.npz").exists():
        return None
    kept = dict(np.load(folder / "truth.npz"))
    return Known(**kept) if "truth" in kept else People(**kept)


@dataclass(frozen=True)
class Row:
    """One row of the tables.

    Attributes
    ----------
    title : str
        What it measures, for a table's heading.
    pair : callable
        From a number (from 0) to its pair.
    pairs, peer_pairs : int
        How many are measured with our methods, and with other people's.
    voxel_mm : int
        1 or 2: how long a method takes depends on it.
    """

    title: str
    pair: Callable[[int], BenchPair]
    pairs: int = 30
    peer_pairs: int = 30
    voxel_mm: int = 2


def _one_person(fixed: Variant, moving: Variant) -> BenchPair:
    assert fixed.head is not None
    truth = compose(moving.head_to_image, invert(fixed.head_to_image))
    points = apply_affine(fixed.head_to_image, brain_points(fixed.head))
    return BenchPair((fixed.image, fixed.grid), (moving.image, moving.grid), Known(truth, points))


def _painted(kind: str) -> Callable[[int], BenchPair]:
    """Paint the anatomies in turn: `known` as the bar has it, a follow-up (`smooth`, `loss`), or another contrast."""

    def build(number: int) -> BenchPair:
        anatomy, seed = VALIDATION_ANATOMIES[number % 3], 100 + number // 3
        noise = generator(kind, number).uniform(0.03, 0.06, 2)
        second = {
            "known": Scanner(noise=float(noise[1])),
            "smooth": Scanner(noise=1.5 * float(noise[1]), spacing_mm=OTHER_GRID_MM),
            "loss": Scanner(noise=1.5 * float(noise[1]), spacing_mm=OTHER_GRID_MM),
            "t2": Scanner("t2", noise=float(noise[1])),
            "flair": Scanner("flair", noise=float(noise[1]), spacing_mm=THICK_MM),
        }[kind]
        change = kind if kind in ("smooth", "loss") else ""
        first = Scanner(noise=float(noise[0]))
        made = painted_pair(anatomy, seed, first, second, rigid=kind != "known", change=change)
        return BenchPair(_image(made.fixed), _image(made.moving), Known(made.fixed_to_moving, made.points))

    return build


def _image(scan: Scan) -> tuple[Array, Grid]:
    return scan.image, scan.grid


@cache
def dev_heads() -> tuple[Head, ...]:
    """Load the `dev` heads."""
    return tuple(load_heads("dev"))


def _people(number: int) -> tuple[Head, Head]:
    """Return two `dev` heads; all 190 pairs come in an order that never changes."""
    heads = dev_heads()
    order = list(combinations(range(len(heads)), 2))
    i, j = order[np.random.default_rng(11).permutation(len(order))[number]]
    return heads[i], heads[j]


def _straight(number: int) -> BenchPair:
    fixed, moving = _people(number)
    judge = People(fixed.name, moving.name, np.eye(4))
    return BenchPair((fixed.image, fixed.grid), (moving.image, moving.grid), judge)


def _turned(number: int) -> BenchPair:
    """Turn the moving head, every other time by up to 60 and up to 180 degrees about each axis, in the data."""
    fixed, moving = _people(number)
    rng = generator("turned", number)
    move = random_turn(rng, 180 if number % 2 else 60, 30, moving.grid.center_lps)
    there = turned(moving, move)
    judge = People(fixed.name, moving.name, move)
    return BenchPair((fixed.image, fixed.grid), (there.image, there.grid), judge)


def _hard(kind: str, fixed: str = "rescanned") -> Callable[[int], BenchPair]:
    def build(number: int) -> BenchPair:
        heads = dev_heads()
        head, again = heads[number % len(heads)], number // len(heads)
        return _one_person(make(head, fixed, again), make(head, kind, again))

    return build


def _visit(number: int) -> BenchPair:
    """Pair T1 with T2 and FLAIR of one visit, which share a world; each pair turned in another way."""
    visit = contrast_variants.VISITS[number % 2]
    contrast = ("T2W", "FLAIR")[number // 2 % 2]
    return _one_person(
        contrast_variants.make(f"{visit}:T1W#0"), contrast_variants.make(f"{visit}:{contrast}#{1 + number // 4}")
    )


ROWS: Mapping[str, Row] = {
    "straight": Row("two people, upright, 2 mm", _straight, 60, 60),
    "turned": Row("two people, one rotated by up to 180 degrees, 2 mm", _turned, 60, 60),
    "known": Row("one head, known affine, 1 mm", _painted("known"), 51, voxel_mm=1),
    "smooth": Row("follow-up: smooth deformation of 1.5 mm, another grid, 1 mm", _painted("smooth"), 51, voxel_mm=1),
    "loss": Row("follow-up: 2 % brain atrophy, another grid, 1 mm", _painted("loss"), 51, voxel_mm=1),
    "upside": Row("one head rotated by up to 180 degrees, 2 mm", _hard("turned")),
    "offset": Row("one head, origin 120 mm off, 2 mm", _hard("offset")),
    "half": Row("one head, half the field of view, 2 mm", _hard("half")),
    "noisy": Row("one head, noise 18 %, 2 mm", _hard("noisy", "rescanned, noisy")),
    "hole": Row("one head, a sphere of 50 mm removed, 2 mm", _hard("hole")),
    "stripped": Row("one head, skull-stripped to whole head, 2 mm", _hard("stripped")),
    "visits": Row("one patient, T1 to T2 and FLAIR of one visit, 0.7 to 0.9 x 3 mm", _visit, 32, voxel_mm=1),
    "t2": Row("one head, T1 to T2, simulated, 1 mm", _painted("t2"), voxel_mm=1),
    "flair": Row("one head, T1 to FLAIR with thick slices, simulated, 1 x 1 x 5 mm", _painted("flair"), voxel_mm=1),
}
