"""One head in a T1 scan and in another kind of image, with the true map between the two; painted, so that it is known.

The fixed image is T1-weighted, 1 mm. The moving one is of one of `KINDS`, and was moved rigidly: every other pair by up
to 15 degrees and 15 mm, the others turned by up to 180 degrees.
"""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.common.heads import random_turn
from benchmarks.common.painted import (
    Pair,
    Scan,
    Scanner,
    brain_of,
    load_anatomy,
    paint,
    smooth_field,
    without_affine,
)
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample

Array = np.ndarray
CORTEX = (3, 42)  # FreeSurfer
PET_BLUR_MM = 8.0  # full width at half maximum
SIGMA = 1 / np.sqrt(8 * np.log(2))  # of a Gaussian whose full width at half maximum is 1
SMOOTH_MM, PEAK_MM = 1.5, 5.0  # EPI distortion: over the brain, and above the sinuses
DROPOUT_MM = 14.0  # radius of the signal loss above the sinuses
SMALL, LARGE = (15.0, 15.0), (180.0, 20.0)  # degrees, mm
HOUNSFIELD = 1000.0

KINDS = {
    "ct": Scanner("ct", noise=0.008, bias=0.0, texture=0.002, spread=0.002),
    "epi": Scanner("epi", noise=0.04, spacing_mm=(3.0, 3.0, 3.0)),
    "pet": Scanner("pet", noise=0.02, bias=0.1, spacing_mm=(2.0, 2.0, 2.0)),
    "pd": Scanner("pd"),
    "inverted": Scanner("inverted"),
    "random": Scanner("random"),
}


@dataclass(frozen=True)
class _Sinus:
    """What the air in the sinuses does to an EPI: distortion in voxels of the anatomy, and the signal that is left."""

    shift: list[Array]
    signal: Array


def kind_pair(kind: str, anatomy: int, seed: int) -> Pair:
    """Paint a pair of one kind; see the module.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    anatomy : int
        A label map, one of `VALIDATION_ANATOMIES`.
    seed : int
        Of the random numbers; pairs with an odd one are turned by up to 180 degrees.
    """
    rng = np.random.default_rng([anatomy, seed, *kind.encode()])
    codes, grid = load_anatomy(anatomy)
    first = random_turn(rng, 5, 5, grid.center_lps)
    move = random_turn(rng, *(LARGE if seed % 2 else SMALL), grid.center_lps)
    points = apply_affine(grid.index_to_lps, np.argwhere(brain_of(codes))[::997, ::-1].astype(float))
    fixed = paint(codes, grid, first, Scanner(), rng)
    moving = paint_kind(kind, codes, grid, move, rng)
    return Pair(f"{kind}-{anatomy}-{seed}", fixed, moving, compose(move, invert(first)), apply_affine(first, points))


def paint_kind(kind: str, codes: Array, grid: Grid, head_to_scan: Array, rng: np.random.Generator) -> Scan:
    """Scan a head that was moved by `head_to_scan` (LPS mm) with one of `KINDS`."""
    scanner = KINDS[kind]
    if kind == "epi":
        sinus = _sinus(codes, grid, rng)
        scan = paint(codes, grid, head_to_scan, scanner, rng, sinus.shift)
        left = resample(sinus.signal, grid, scan.grid, invert(head_to_scan))
        return replace(scan, image=scan.image * left)
    scan = paint(codes, grid, head_to_scan, scanner, rng)
    if kind == "ct":
        return replace(scan, image=(scan.image - 1) * HOUNSFIELD)
    if kind == "pet":
        return replace(scan, image=_blurred(scan.image, PET_BLUR_MM * SIGMA / scanner.spacing_mm[0]))
    return scan


def _sinus(codes: Array, grid: Grid, rng: np.random.Generator) -> _Sinus:
    """Distort along the front-to-back axis and lose signal above the nose; no affine part over the brain."""
    brain = brain_of(codes)
    place = np.argwhere(np.isin(codes, CORTEX))[::53, ::-1]
    lps = apply_affine(grid.index_to_lps, place)
    lps -= lps.mean(0)
    central = np.abs(lps[:, 0]) < 15
    nose = place[central][np.argmin(lps[central] @ (0.0, 0.8, 0.6))]  # foremost and lowest
    z, y, x = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in codes.shape], indexing="ij", sparse=True)
    squared = ((x - nose[0]) ** 2 + (y - nose[1]) ** 2 + (z - nose[2]) ** 2) * np.float32(grid.spacing.min() ** 2)
    near = np.exp(-squared / (2 * DROPOUT_MM**2)).astype(np.float32)
    along = smooth_field(codes.shape, rng, SMOOTH_MM, knots=8) + PEAK_MM * near * rng.choice([-1.0, 1.0])
    # The array axis that runs front to back.
    axis = 2 - int(np.argmax(np.abs(grid.index_to_lps[1, :3])))
    shift = [np.zeros(codes.shape, np.float32) for _ in range(3)]
    shift[axis] = (along / np.float32(grid.spacing[2 - axis])).astype(np.float32)
    return _Sinus(without_affine(shift, brain), 1 - np.float32(0.9) * near)


def _blurred(image: Array, sigma_voxels: float) -> Array:
    import SimpleITK as sitk

    filtered = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(image), sigma_voxels)
    return sitk.GetArrayFromImage(filtered)
