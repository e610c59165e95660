"""The scans that an anatomy network is calibrated on: those of the validation split, with their labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.core.structures import dlmuse_lookup
from stnreg.errors import DataError
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_volume
from stnreg.resampling.resample import resample
from stnreg.simulation.fields import blurred
from stnreg.simulation.heads import HeadRecipe
from stnreg.simulation.moves import RANGES, Ranges, random_move
from stnreg.simulation.pair import SimulatedPair
from stnreg.training.anatomy.pack import VALIDATION_ANATOMIES, VALIDATION_SCANS, class_centroids

Array = np.ndarray
TURNED = Ranges(180.0, 30.0, 0.15, 0.1)
MOVED_SPACING_MM = 2.0
NOISE = 0.04  # of bright tissue, in a scan that was moved
POINTS = 97  # every such voxel of the brain is a point at which errors are measured
CONTRASTS = (("t1", "t1"), ("t1", "t2"), ("t1", "flair"))
PAINTED_SIZE = 128  # voxels along an edge of 256 mm


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One scan and its structures.

    Attributes
    ----------
    name : str
    array : (z, y, x) float32
    grid : Grid
    classes : (z, y, x) uint8
        Index into `stnreg.core.structures.STRUCTURES`, on the same grid.
    """

    name: str
    array: Array
    grid: Grid
    classes: Array

    @property
    def centroids_lps(self) -> Array:
        """(structures, 3) float64: centroids of the labels, mm; NaN where a structure is absent or tiny."""
        lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # `class_centroids` takes RAS and gives LPS
        return class_centroids(self.classes, lps_to_ras @ self.grid.index_to_lps)

    @property
    def brain_points_lps(self) -> Array:
        """(N, 3) float64: some voxels of the brain, mm."""
        return apply_affine(self.grid.index_to_lps, np.argwhere(self.classes > 0)[::POINTS, ::-1].astype(float))


@dataclass(frozen=True, eq=False)
class ScanVersion:
    """An image made of a scan, and the true map from the scan to it.

    Attributes
    ----------
    array : (z, y, x) float32
    grid : Grid
    scan_to_image : (4, 4) float64
        LPS mm.
    """

    array: Array
    grid: Grid
    scan_to_image: Array


def load_validation_scans(root: Path, count: int = VALIDATION_SCANS) -> list[LabelledScan]:
    """Load the last scans by name of `root/ixi`, with their DLMUSE labels.

    Raises
    ------
    DataError
        If there are none, or one lacks its labels or does not lie on their grid.
    """
    paths = sorted((root / "ixi").glob("*_T1.nii.gz"))[-count:]
    if not paths:
        raise DataError(f"{root}: expected ixi/*_T1.nii.gz with their *_labels.nii.gz, as for `stnreg train`")
    return [_load(path, path.with_name(path.name.replace("_T1", "_labels"))) for path in paths]


def _load(image: Path, labels: Path) -> LabelledScan:
    scan, codes = load_volume(str(image)), load_volume(str(labels))
    if scan.array.shape != codes.array.shape:
        raise DataError(f"{labels}: has {codes.array.shape} voxels (z, y, x), its scan {scan.array.shape}")
    classes = dlmuse_lookup()[codes.array.astype(np.int16)]
    return LabelledScan(image.name.split("_")[0], scan.array.astype(np.float32), scan.grid, classes)


def turned(scan: LabelledScan, rng: np.random.Generator) -> ScanVersion:
    """Move a scan by up to 180 degrees and 30 mm, scale and shear it, onto an upright grid that holds all of it."""
    return moved(scan, rng, TURNED)


def moved(scan: LabelledScan, rng: np.random.Generator, ranges: Ranges) -> ScanVersion:
    """Move a scan at random within `ranges`, onto an upright grid that holds all of it."""
    move = random_move(ranges, scan.grid.center_lps, rng)
    corners = apply_affine(move, scan.grid.corners_lps())
    low, high = corners.min(0), corners.max(0)
    size = np.ceil((high - low) / MOVED_SPACING_MM).astype(int) + 1
    grid = Grid.from_parts(size, (MOVED_SPACING_MM,) * 3, low)
    return ScanVersion(_noisy(resample(scan.array, scan.grid, grid, invert(move)), rng), grid, move)


def half(scan: LabelledScan, rng: np.random.Generator) -> ScanVersion:
    """Turn a scan by up to 30 degrees, and end its field of view in the middle of the brain along one axis."""
    move = random_move(RANGES["rototranslated"], scan.grid.center_lps, rng)
    grid = Grid(scan.grid.size, compose(scan.grid.index_to_lps))
    image = _noisy(resample(scan.array, scan.grid, grid, invert(move)), rng)
    axis, is_lower = int(rng.integers(3)), bool(rng.random() < 0.5)
    brain = apply_affine(grid.lps_to_index @ move, scan.brain_points_lps)[:, axis]
    middle = int(np.clip((brain.min() + brain.max()) / 2, 8, grid.size[axis] - 8))
    kept = [slice(None)] * 3
    kept[2 - axis] = slice(0, middle) if is_lower else slice(middle, None)
    shift = np.eye(4)
    shift[axis, 3] = 0 if is_lower else middle
    part = np.ascontiguousarray(image[tuple(kept)])
    return ScanVersion(part, Grid(part.shape[::-1], grid.index_to_lps @ shift), move)


def without_brain(scan: LabelledScan) -> Array:
    """Return a scan whose brain is dark: a head in which nothing is to be found, (z, y, x) float32."""
    return np.where(blurred((scan.classes > 0).astype(np.float32), 2.0) > 0.1, 0, scan.array).astype(np.float32)


def _noisy(image: Array, rng: np.random.Generator) -> Array:
    level = NOISE * float(np.percentile(image[image > 0], 90)) if (image > 0).any() else 0.0
    real, other = (level * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, other).astype(np.float32)


def painted_pairs(root: Path, seed: int) -> Iterator[SimulatedPair]:
    """Paint the validation anatomies of `root/labelmaps`, each as pairs of T1 with T1, T2 and FLAIR, moved between."""
    for number, name in enumerate(VALIDATION_ANATOMIES):
        for path in sorted((root / "labelmaps").glob(f"{name}.nii*")):
            for k, contrasts in enumerate(CONTRASTS):
                recipe = HeadRecipe({"validation": (str(path),)}, RANGES["heads"], (PAINTED_SIZE,) * 2, contrasts)
                rng = np.random.default_rng([seed, number, k])
                yield recipe.paint(recipe.plan("validation", 0, rng), rng)
