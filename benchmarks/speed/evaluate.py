"""What `stnreg evaluate` costs with all its metrics, and how far its figures are from other people's.

    python -m benchmarks.speed.evaluate [--threads 2] [--skip-references]

Two label maps of 256^3 voxels of 1 mm, two anatomies put on each other by the centroids of their labels, and an image
painted on each. Prints the seconds of the whole process (and of the processor), the figures' largest differences to
MedPy, SimpleITK, scikit-learn's definition and surface-distance over all labels, and how they are defined.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.heads import Head, label_centroids
from benchmarks.common.painted import load_anatomy
from stnreg.evaluation import overlap, similarity, surface
from stnreg.evaluation.evaluate import METRICS
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, save_volume
from stnreg.resampling.resample import resample
from stnreg.transforms.io.files import save_transform

ANATOMIES = (13, 14)
BAR_S = 10.0
FEW_LABELS = 8  # MedPy and surface-distance take seconds a label


def label_maps() -> tuple[np.ndarray, np.ndarray, Grid]:
    """Return two people's label maps on one grid, (z, y, x) int16."""
    heads = [Head(str(n), codes, codes, grid) for n in ANATOMIES for codes, grid in [load_anatomy(n)]]
    f, m = (label_centroids(head) for head in heads)
    both = sorted(set(f) & set(m))
    fixed_to_moving = fit_affine(np.array([f[k] for k in both]), np.array([m[k] for k in both]))
    moved = resample(heads[1].labels, heads[1].grid, heads[0].grid, fixed_to_moving, interp="nearest")
    return heads[0].labels, moved, heads[0].grid


def write(folder: Path, fixed: np.ndarray, moved: np.ndarray, grid: Grid) -> list[str]:
    """Write what `evaluate` reads, and return its arguments."""
    rng = np.random.default_rng(0)
    for name, labels in (("fixed", fixed), ("moved", moved)):
        image = (labels % 97 * 8 + rng.integers(0, 40, labels.shape)).astype(np.int16)
        save_volume(folder / f"{name}.nii.gz", image, like=Volume(image, grid), dtype="same")
        save_volume(folder / f"{name}_labels.nii.gz", labels, like=Volume(labels, grid), dtype="same")
    shift = np.eye(4)
    shift[0, 3] = 1.0
    save_transform(folder / "found.tfm", shift)
    save_transform(folder / "truth.tfm", np.eye(4))
    options = ["--fixed-labels", "fixed_labels.nii.gz", "--moved-labels", "moved_labels.nii.gz"]
    options += ["--transform", "found.tfm", "--truth", "truth.tfm", "--metrics", ",".join(METRICS)]
    return ["fixed.nii.gz", "moved.nii.gz", *options]


def timed(folder: Path, arguments: list[str], threads: int) -> float:
    """Run the whole command and print what it took; return wall seconds."""
    command = [sys.executable, "-m", "stnreg", "evaluate", *arguments, "--threads", str(threads)]
    before, began = os.times(), time.perf_counter()
    ended = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    seconds, after = time.perf_counter() - began, os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    rows = list(csv.reader(ended.stdout.splitlines(), delimiter="\t"))
    labels = len({row[1] for row in rows if row[0] == "dice"} - {"mean"})
    print(f"evaluate, all {len(METRICS)} metrics, {labels} labels, 256^3 voxels, {threads} threads: "
          f"{seconds:.1f} s, of the processor {worked:.1f} s; the bar is {BAR_S:.0f} s")  # fmt: skip
    return seconds


def differences(fixed: np.ndarray, moved: np.ndarray, grid: Grid) -> Iterator[tuple[str, str, float, str]]:
    """Yield what was compared, with whom, the largest difference over labels, and its unit."""
    counts = overlap.count_labels(fixed, moved)
    dice, jaccard = overlap.dice(counts), overlap.jaccard(counts)
    theirs = _simpleitk_overlap(fixed, moved, counts.labels.tolist())
    yield "dice", "SimpleITK LabelOverlapMeasures", float(np.abs(dice - theirs[0]).max()), "1"
    yield "jaccard", "SimpleITK LabelOverlapMeasures", float(np.abs(jaccard - theirs[1]).max()), "1"
    a, b = (array[::2, ::2, ::2].ravel().astype(float) for array in (fixed, moved))
    joint = similarity.joint_histogram(a, b)
    yield "mi", "MedPy mutual_information", abs(similarity.mutual_information(joint) - _medpy_mi(a, b)), "nats"
    yield "mi", "sum of p ln(p / pq), as scikit-learn", abs(similarity.mutual_information(joint) - _mi(joint)), "nats"
    few = counts.labels[np.argsort(counts.fixed)[-20 : FEW_LABELS - 20]]  # large, but not the largest
    found = dict(surface.label_surface_distances(fixed, moved, grid, few))
    ours: dict[str, Callable] = {"hd": surface.hausdorff_mm, "hd95": surface.hd95_mm, "assd": surface.assd_mm}
    from medpy.metric import binary

    for name, measure in ours.items():
        off = 0.0
        for label in map(int, few):
            x, y = _cut(fixed, moved, label)
            reference = getattr(binary, name)(x, y, tuple(grid.spacing[::-1]))
            off = max(off, abs(measure(found[label]) - reference))
        yield name, f"MedPy binary.{name}", off, "mm"
    yield "hd95", "surface-distance, another definition", _to_surface_distance(fixed, moved, grid, few, found), "mm"


def _cut(fixed: np.ndarray, moved: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a label out of both maps, with a voxel of room: others measure on the whole array."""
    from scipy.ndimage import find_objects

    box = find_objects(((fixed == label) | (moved == label)).astype(np.uint8))[0]
    box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    return fixed[box] == label, moved[box] == label


def _simpleitk_overlap(fixed: np.ndarray, moved: np.ndarray, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    import SimpleITK as sitk

    measured = sitk.LabelOverlapMeasuresImageFilter()
    measured.Execute(*(sitk.GetImageFromArray(array) for array in (fixed, moved)))
    return (
        np.array([measured.GetDiceCoefficient(label) for label in labels]),
        np.array([measured.GetJaccardCoefficient(label) for label in labels]),
    )


def _medpy_mi(a: np.ndarray, b: np.ndarray) -> float:
    from medpy.metric.image import mutual_information

    return float(mutual_information(a, b, similarity.DEFAULT_BINS) * np.log(2))  # theirs is in bits


def _mi(joint: np.ndarray) -> float:
    """Return the sum over cells, as `sklearn.metrics.mutual_info_score` writes it."""
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    kept = joint > 0
    return float((joint[kept] * np.log(joint[kept] / apart[kept])).sum())


def _to_surface_distance(fixed: np.ndarray, moved: np.ndarray, grid: Grid, labels: np.ndarray, found: dict) -> float:
    import surface_distance

    off = 0.0
    for label in map(int, labels):
        x, y = _cut(fixed, moved, label)
        measured = surface_distance.compute_surface_distances(x, y, tuple(grid.spacing[::-1]))
        off = max(off, abs(surface.hd95_mm(found[label]) - surface_distance.compute_robust_hausdorff(measured, 95)))
    return off


def main() -> None:
    """Measure, compare, and exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-references", action="store_true")
    options = parser.parse_args()
    fixed, moved, grid = label_maps()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        missed = timed(Path(folder), write(Path(folder), fixed, moved, grid), options.threads) > BAR_S
    if not options.skip_references:
        for name, reference, off, unit in differences(fixed, moved, grid):
            print(f"{name:8s} against {reference:38s} differs by at most {off:.1e} {unit}")
    sys.exit(missed)


if __name__ == "__main__":
    main()
