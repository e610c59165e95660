"""The sets of pairs that the paper's tables have as columns, each as rows of a PAIRS.csv.

Everything is at 2 to 3 mm, the published data was at 1 to 1.5: so a table takes hours, not weeks. Measured heads are
`dev` heads and the validation anatomies, which no network of ours was trained on.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common.heads import shared_folder
from benchmarks.common.painted import VALIDATION_ANATOMIES
from stnreg.datasets.pair_table import Pair, load_pairs
from stnreg.simulation.build import build_recipe
from stnreg.simulation.dataset import simulate

CUBE_VOXELS = 64  # of 2 mm, as the published training saw them
FOLLOW_UP_VOXELS = (128, 85)  # half of the published 256 against 170
SEED = 7
Maker = Callable[[Path, int, int], list[Pair]]  # folder to keep files in, pairs, processes


def synthetic(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Damaged cubes, moved, turned and scaled."""
    return _simulated(folder, count, jobs, kind="cubes", sizes=[CUBE_VOXELS])


def rotated(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Rotate one scan by up to 30 degrees about each axis."""
    return _of_one_scan(folder, count, jobs, "rotated")


def translated(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Shift one scan by up to 30 mm along each axis."""
    return _of_one_scan(folder, count, jobs, "translated")


def rototranslated(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Do both to one scan."""
    return _of_one_scan(folder, count, jobs, "rototranslated")


def moved20(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Move twenty heads by up to 20 degrees and 20 mm about and along each axis: the bar of the networks."""
    heads, labels = _dev_heads()
    ranges = {"rotation_deg": 20.0, "translation_mm": 20.0}
    return _simulated(folder, count, jobs, kind="rototranslated", images=heads, labels=labels, ranges=ranges)


def random(folder: Path, count: int, jobs: int) -> list[Pair]:
    """Two people: up to 190 pairs of the twenty heads."""
    heads, labels = _dev_heads()
    every = [(i, j) for i in range(len(heads)) for j in range(i + 1, len(heads))]
    order = np.random.default_rng(11).permutation(len(every))[:count]
    return [
        Pair(
            heads[i], heads[j], f"{_name(heads[i])}-{_name(heads[j])}", fixed_labels=labels[i], moving_labels=labels[j]
        )
        for i, j in (every[k] for k in order)
    ]


def longitudinal(folder: Path, count: int, jobs: int) -> list[Pair]:
    """One person twice: simulated follow-ups on two grids, and a patient's two visits, three contrasts, both ways."""
    maps = [shared_folder() / f"data/train/labelmaps/anatomy_{number:02d}.nii.gz" for number in VALIDATION_ANATOMIES]
    made = _simulated(
        folder, count, jobs, kind="heads", labels=maps, follow_up=True, sizes=FOLLOW_UP_VOXELS, contrasts=["t1"]
    )
    visits = shared_folder() / "data/dev/openms"
    real = [
        Pair(
            *(visits / f"patient12_study{visit}_{name}.nii.gz" for visit in order),
            f"openms-{name}-{order[0]}{order[1]}",
        )
        for name in ("T1W", "T2W", "FLAIR")
        for order in ((1, 2), (2, 1))
    ]
    return [*made, *real]


COLUMNS: dict[str, Maker] = {
    "synthetic": synthetic,
    "rotated": rotated,
    "translated": translated,
    "rototranslated": rototranslated,
    "random": random,
    "longitudinal": longitudinal,
    "moved20": moved20,
}


def of_table(table: Path) -> Maker:
    """Make a column of the test pairs of a PAIRS.csv, such as `stnreg pairs adni` writes; of all without splits."""

    def column(folder: Path, count: int, jobs: int) -> list[Pair]:
        return [pair for pair in load_pairs(table) if pair.split in (None, "test")][:count]

    return column


def _of_one_scan(folder: Path, count: int, jobs: int, kind: str) -> list[Pair]:
    heads, labels = _dev_heads()
    return _simulated(folder, count, jobs, kind=kind, images=heads[:1], labels=labels[:1])


def _simulated(folder: Path, count: int, jobs: int, *, kind: str, **options: object) -> list[Pair]:
    counts = (0, 0, count)
    table = simulate(build_recipe(kind, counts, **options), folder, counts, seed=SEED, jobs=jobs)  # type: ignore[arg-type]
    return [replace(pair, split=None) for pair in load_pairs(table)]


def _dev_heads() -> tuple[list[Path], list[Path]]:
    heads = sorted((shared_folder() / "data/dev/ixi").glob("*_T1.nii.gz"))
    return heads, [head.with_name(head.name.replace("_T1", "_labels")) for head in heads]


def _name(head: Path) -> str:
    return head.name.split("_")[0]
