"""The heads that the benchmarks measure with, moved in known ways, and label Dice between them.

Data is looked for in `$STNREG_SHARED`, else in `../shared` beside the repository.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_volume
from stnreg.resampling.resample import resample
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform

VALIDATION_HEADS = 18  # the last ones of train/ixi by name
MIN_LABEL_VOXELS = 50  # as the scorer of the shared pairs counts labels
MIN_CENTROID_VOXELS = 30


@dataclass(frozen=True)
class Head:
    """A scan, its labels on the same grid, and its name."""

    name: str
    image: np.ndarray
    labels: np.ndarray
    grid: Grid


def shared_folder() -> Path:
    """Return the folder of shared data, or stop with a reason."""
    folder = Path(os.environ.get("STNREG_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "data").is_dir():
        raise SystemExit(f"no data in {folder}: set STNREG_SHARED to the folder that holds data/")
    return folder


def load_heads(split: str) -> list[Head]:
    """Load the labelled heads of a split: `validation` or `dev`."""
    data = shared_folder() / "data"
    folder = data / "dev/ixi" if split == "dev" else data / "train/ixi"
    paths = sorted(folder.glob("*_T1.nii.gz"))
    return [load_head(p) for p in (paths if split == "dev" else paths[-VALIDATION_HEADS:])]


def load_head(path: Path) -> Head:
    """Load a scan and its labels."""
    scan = load_volume(str(path))
    labels = load_volume(str(path).replace("_T1", "_labels"))
    return Head(path.name.split("_")[0], scan.array.astype(np.float32), labels.array.astype(np.int16), scan.grid)


def random_turn(rng: np.random.Generator, angle_deg: float, shift_mm: float, center_lps: np.ndarray) -> np.ndarray:
    """Return a rigid (4, 4) about a point: each Euler angle uniform to +-angle, each shift to +-shift; LPS mm."""
    x, y, z = np.deg2rad(rng.uniform(-angle_deg, angle_deg, 3))
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    turn = np.eye(4)
    turn[:3, :3] = about_x @ about_y @ about_z
    turn[:3, 3] = center_lps - turn[:3, :3] @ center_lps + rng.uniform(-shift_mm, shift_mm, 3)
    return turn


def oblique(head: Head, move: np.ndarray) -> Head:
    """Move the head and its grid together: only the header knows."""
    return Head(head.name, head.image, head.labels, Grid(head.grid.size, move @ head.grid.index_to_lps))


def turned(head: Head, move: np.ndarray, spacing_mm: float = 2.0) -> Head:
    """Move the head and resample it onto an upright grid that holds it all: no header can help."""
    corners = apply_affine(move, head.grid.corners_lps())
    low, high = corners.min(0), corners.max(0)
    size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    grid = Grid.from_parts(size, (spacing_mm,) * 3, low)
    back = invert(move)
    image = resample(head.image, head.grid, grid, back)
    labels = resample(head.labels, head.grid, grid, back, interp="nearest")
    return Head(head.name, image, labels, grid)


def label_dice(fixed: Head, moving: Head, fixed_to_moving: np.ndarray | Transform) -> float:
    """Return the mean Dice over the labels that both heads have, nearest neighbour on the fixed grid."""
    through = fixed_to_moving if isinstance(fixed_to_moving, Transform) else Affine(fixed_to_moving)
    warped = resample_through(moving.labels, moving.grid, fixed.grid, through, interp="nearest").ravel()
    labels = fixed.labels.ravel()
    size = int(max(labels.max(), moving.labels.max())) + 1
    in_fixed, in_warped = np.bincount(labels, minlength=size), np.bincount(warped, minlength=size)
    in_moving = np.bincount(moving.labels.ravel(), minlength=size)
    common = np.bincount(labels[labels == warped], minlength=size)
    keep = (in_fixed > MIN_LABEL_VOXELS) & (in_moving > 0)
    keep[0] = False
    return float((2 * common[keep] / (in_fixed[keep] + in_warped[keep])).mean())


def oracle(fixed: Head, moving: Head) -> np.ndarray:
    """Return the least-squares affine on the centroids of the true labels, fixed to moving, LPS mm."""
    f, m = label_centroids(fixed), label_centroids(moving)
    both = sorted(set(f) & set(m))
    return fit_affine(np.array([f[k] for k in both]), np.array([m[k] for k in both]))


def label_centroids(head: Head) -> dict[int, np.ndarray]:
    """Return the centroid of each label, LPS mm."""
    z, y, x = np.nonzero(head.labels)
    found = head.labels[z, y, x].astype(int)
    count = np.bincount(found)
    sums = np.stack([np.bincount(found, weights=v) for v in (x, y, z)], 1)
    keep = np.flatnonzero(count > MIN_CENTROID_VOXELS)
    points = apply_affine(head.grid.index_to_lps, sums[keep] / count[keep, None])
    return dict(zip(keep.tolist(), points, strict=True))


def brain_points(head: Head, step: int = 97) -> np.ndarray:
    """Return every 97th labelled voxel's centre, (N, 3) LPS mm."""
    index = np.argwhere(head.labels > 0)[::step, ::-1]
    return apply_affine(head.grid.index_to_lps, index.astype(float))


def moved_truth(truth: np.ndarray, fixed_move: np.ndarray, moving_move: np.ndarray) -> np.ndarray:
    """Return the true map once both heads have been moved."""
    return compose(moving_move, truth, invert(fixed_move))
