"""What a scanner sees of a head: thick slices, a small cube, no signal above the sinuses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.common.heads import Head
from benchmarks.common.variants import Variant
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample

Array = np.ndarray
View = Callable[[Variant], Variant]
SLICE_MM = 11.0
CUBE_MM, CUBE_VOXEL_MM = 70.0, 2.0
BRAIN_STEM = 35  # its label
DROPOUT_MM = 18.0  # radius of the signal loss above the sinuses
LEFT = 0.05  # of the signal, in its middle


def thick_slices(variant: Variant) -> Variant:
    """Average a variant over axial slices of its scanner."""
    size = variant.grid.size
    count = int(size[2] * variant.grid.spacing[2] / SLICE_MM)
    thin = Grid.from_parts(
        (size[0], size[1], count * int(SLICE_MM)),
        (*variant.grid.spacing[:2], 1.0),
        apply_affine(variant.grid.index_to_lps, np.zeros(3)),
    )
    image = resample(variant.image, variant.grid, thin, np.eye(4))
    slices = image.reshape(count, int(SLICE_MM), *image.shape[1:]).mean(1)
    middle = np.eye(4)
    middle[2, 2], middle[2, 3] = SLICE_MM, (SLICE_MM - 1) / 2
    return replace(variant, image=slices.astype(np.float32), grid=Grid(slices.shape[::-1], thin.index_to_lps @ middle))


def brainstem_cube(variant: Variant) -> Variant:
    """Keep a cube about the brainstem, along the axes of the scanner."""
    assert variant.head is not None
    stem = np.argwhere(variant.head.labels == BRAIN_STEM)[:, ::-1].mean(0)
    center = apply_affine(variant.head_to_image @ variant.head.grid.index_to_lps, stem)
    cube = Grid.cube(center, round(CUBE_MM / CUBE_VOXEL_MM), CUBE_VOXEL_MM)
    image = resample(variant.image, variant.grid, cube, np.eye(4)).astype(np.float32)
    return replace(variant, image=image, grid=cube)


def sinus_dropout(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Lose the signal above the nose, where the brain is foremost and lowest near the midline."""
    place = np.argwhere(head.labels > 0)[::17, ::-1]
    lps = apply_affine(head.grid.index_to_lps, place.astype(float))
    lps -= lps.mean(0)
    near_midline = np.abs(lps[:, 0]) < 15
    foremost = place[near_midline][np.argmin(lps[near_midline] @ (0.0, 0.8, 0.6))]
    lines = [
        (np.arange(n) - c) * s for n, c, s in zip(image.shape, foremost[::-1], head.grid.spacing[::-1], strict=True)
    ]
    z, y, x = np.meshgrid(*lines, indexing="ij", sparse=True)
    lost = (1 - LEFT) * np.exp(-(z**2 + y**2 + x**2) / (2 * DROPOUT_MM**2))
    return (image * (1 - lost)).astype(np.float32)
