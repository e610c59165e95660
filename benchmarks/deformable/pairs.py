"""The pairs of `benchmarks.deformable.run`, the same in every run.

`people` and `people-turned` are the pairs of the accuracy benchmark. `painted` rows are two of the validation anatomies
in every order, each painted with its own noise and bias, the moving one moved by up to 10 degrees and 10 mm: a T1, T2,
FLAIR or random contrast, to be registered to a T1. `known` is one anatomy against itself, bent smoothly by 2 to 8 mm
where it is bent most in the brain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from benchmarks.accuracy.pairs import ROWS as AFFINE_ROWS
from benchmarks.accuracy.pairs import People, dev_heads, load_judge
from benchmarks.common.heads import Head, label_dice, random_turn
from benchmarks.common.painted import (
    VALIDATION_ANATOMIES,
    Scan,
    Scanner,
    brain_of,
    displaced,
    load_anatomy,
    paint,
    smooth_field,
    without_affine,
)
from benchmarks.common.variants import generator
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, save_volume
from stnreg.resampling.resample import resample
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField

Array = np.ndarray
LEAST_MM, MOST_MM = 2.0, 8.0
POINTS_STEP = 499


@dataclass(frozen=True, eq=False)
class Truth:
    """What a map from fixed to moving is measured with.

    Attributes
    ----------
    fixed : Head
        Its image is not needed; the labels lie on the fixed image's grid.
    moving : Head or None
        Labels as they were drawn; None where the true map is known.
    move : (4, 4) float64
        What happened to the moving head after it was drawn, LPS mm.
    points, targets : (N, 3) float64 or None
        Of the fixed brain, and where they truly lie in the moving image, LPS mm.
    """

    fixed: Head
    moving: Head | None
    move: Array
    points: Array | None = None
    targets: Array | None = None

    @property
    def brain(self) -> Array:
        """Where the fixed brain is, (z, y, x) bool."""
        return self.fixed.labels > 0

    def judge(self, fixed_to_moving: Transform) -> dict[str, float]:
        """Return `dice`, or `error_mm` and `p95_mm` where the true map is known."""
        if self.moving is not None:
            return {"dice": label_dice(self.fixed, self.moving, fixed_to_moving.then(Affine(invert(self.move))))}
        distance = np.linalg.norm(fixed_to_moving.map_points(self.points) - self.targets, axis=1)
        return {"error_mm": float(distance.mean()), "p95_mm": float(np.percentile(distance, 95))}


@dataclass(frozen=True, eq=False)
class DeformPair:
    """Two images, (array, Grid), and how a map between them is judged."""

    fixed: tuple[Array, Grid]
    moving: tuple[Array, Grid]
    truth: Truth

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both images as 16-bit NIfTI; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, (array, grid) in (("fixed", self.fixed), ("moving", self.moving)):
            top = float(np.percentile(array, 99.5)) or 1.0
            whole = np.rint(np.clip(array / top, 0, 30) * 1000).astype(np.int16)
            save_volume(folder / f"{name}.nii.gz", whole, like=Volume(whole, grid), dtype="same")
        return folder / "fixed.nii.gz", folder / "moving.nii.gz"


@dataclass(frozen=True)
class DeformRow:
    """One row of the tables: what it measures, from a number to its pair, and how many pairs."""

    title: str
    pair: Callable[[int], DeformPair]
    pairs: int
    written: str = ""
    """What folders of pairs that were written before are called, less their number."""


def truth_of_people(judge: People) -> Truth:
    """Find the heads of a pair of people."""
    heads = {head.name: head for head in dev_heads()}
    return Truth(heads[str(judge.fixed)], heads[str(judge.moving)], judge.move)


def load_written(folder: Path) -> Truth | None:
    """Return how a pair of people in a folder is judged; None where there is none."""
    judge = load_judge(folder)
    return truth_of_people(judge) if isinstance(judge, People) else None


def _people(row: str) -> Callable[[int], DeformPair]:
    def build(number: int) -> DeformPair:
        pair = AFFINE_ROWS[row].pair(number)
        assert isinstance(pair.judge, People)
        return DeformPair(pair.fixed, pair.moving, truth_of_people(pair.judge))

    return build


def _painted(contrast: str) -> Callable[[int], DeformPair]:
    def build(number: int) -> DeformPair:
        orders = list(permutations(VALIDATION_ANATOMIES, 2))
        a, b = orders[number % len(orders)]
        rng = generator(f"deformable {contrast}", number)
        (codes_a, grid_a), (codes_b, grid_b) = load_anatomy(a), load_anatomy(b)
        move = random_turn(rng, 10, 10, grid_b.center_lps)
        noise = rng.uniform(0.03, 0.06, 2)
        fixed = paint(codes_a, grid_a, np.eye(4), Scanner(noise=float(noise[0])), rng)
        moving = paint(codes_b, grid_b, move, Scanner(contrast, noise=float(noise[1])), rng)
        drawn = Head(f"anatomy{b}", codes_b, _brain_labels(codes_b), grid_b)
        return DeformPair(
            _image(fixed), _image(moving), Truth(_on_scan(f"anatomy{a}", codes_a, grid_a, fixed), drawn, move)
        )

    return build


def bend(codes: Array, reach_voxels: float, rng: np.random.Generator) -> list[Array]:
    """Draw a smooth invertible shift without an affine part, at most `reach_voxels` in the brain: three (z, y, x)."""
    brain = brain_of(codes)
    for _ in range(50):
        shift = without_affine([smooth_field(codes.shape, rng, 1.0, knots=9) for _ in range(3)], brain)
        length = np.sqrt(sum(axis**2 for axis in shift))
        scale = reach_voxels / length[brain].max()
        # Far from the brain the fit is a guess that grows.
        limit = np.minimum(scale, reach_voxels / np.maximum(length, 1e-6))
        shift = [axis * limit for axis in shift]
        z, y, x = codes.shape
        field = DisplacementField(np.stack(shift[::-1]), Grid((x, y, z), np.eye(4)))
        if not field.count_folds().digital:
            return shift
    raise RuntimeError("no smooth shift without folds was drawn")


def _known(number: int) -> DeformPair:
    """Bend the fixed head: its point f shows what the head as drawn has at f + d(f), so the truth is explicit."""
    rng = generator("deformable known", number)
    anatomy = VALIDATION_ANATOMIES[number % 3]
    codes, grid = load_anatomy(anatomy)
    reach_mm = LEAST_MM + (MOST_MM - LEAST_MM) * (number % 10) / 9
    shift = bend(codes, reach_mm / float(grid.spacing.mean()), rng)
    move = random_turn(rng, 10, 10, grid.center_lps)
    noise = rng.uniform(0.03, 0.06, 2)
    fixed = paint(codes, grid, np.eye(4), Scanner(noise=float(noise[0])), rng, shift)
    moving = paint(codes, grid, move, Scanner(noise=float(noise[1])), rng)
    bent = np.rint(displaced(brain_of(codes).astype(np.float32), shift)).astype(np.int16)
    index = np.argwhere(bent > 0)[::POINTS_STEP]
    there = index + np.stack([axis[tuple(index.T)] for axis in shift], 1)
    points, drawn = (apply_affine(grid.index_to_lps, v[:, ::-1].astype(float)) for v in (index, there))
    labels = resample(bent, grid, fixed.grid, np.eye(4), interp="nearest")
    head = Head(f"anatomy{anatomy}", fixed.image, labels, fixed.grid)
    return DeformPair(_image(fixed), _image(moving), Truth(head, None, move, points, apply_affine(move, drawn)))


def _image(scan: Scan) -> tuple[Array, Grid]:
    return scan.image, scan.grid


def _brain_labels(codes: Array) -> Array:
    return np.where(brain_of(codes), codes, 0).astype(np.int16)


def _on_scan(name: str, codes: Array, grid: Grid, scan: Scan) -> Head:
    return Head(
        name, scan.image, resample(_brain_labels(codes), grid, scan.grid, np.eye(4), interp="nearest"), scan.grid
    )


ROWS: Mapping[str, DeformRow] = {
    "people": DeformRow("two people, straight, 2 mm", _people("straight"), 60, "straight"),
    "people-turned": DeformRow("two people, turned by up to 180 degrees, 2 mm", _people("turned"), 60, "turned"),
    "painted": DeformRow("two anatomies, painted, T1 to T1, 1 mm", _painted("t1"), 18),
    "painted-t2": DeformRow("two anatomies, painted, T2 to T1, 1 mm", _painted("t2"), 18),
    "painted-flair": DeformRow("two anatomies, painted, FLAIR to T1, 1 mm", _painted("flair"), 18),
    "painted-random": DeformRow("two anatomies, painted, random contrast to T1, 1 mm", _painted("random"), 18),
    "known": DeformRow("one anatomy, bent smoothly by 2 to 8 mm, 1 mm", _known, 30),
}
