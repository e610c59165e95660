"""What the velocity network sees of a head: its brain in the frame, normalised, without what is excluded."""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.region import Region, box_mean
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import resample

Array = np.ndarray
BRAIN_SHARE = 0.5
GROWN_VOXELS = 4  # around the brain that are shown, as in training
LOW, HIGH = 1.0, 99.0  # percentiles inside the brain that become 0 and 1
CLIP = (-0.5, 1.5)
FILL_VOXELS = (2, 4, 8, 16)  # reach of the means that fill what is excluded


@dataclass(frozen=True, eq=False)
class AsT1:
    """One head as a T1-weighted scan shows it, on the grid of the frame.

    Attributes
    ----------
    image : (z, y, x) float32
        On the scale of `Appearance`.
    certainty : (z, y, x) float32
        How well the image is known, 0 to 1: its squared local correlation with a real one, as it is expected; 1 where
        the scan is T1-weighted itself.
    """

    image: Array
    certainty: Array


@dataclass(frozen=True, eq=False)
class Appearance:
    """One head on the grid of the frame.

    Attributes
    ----------
    image : (z, y, x) float32
        0 and 1 at the 1st and 99th percentile of the brain, 0 beyond its surroundings.
    brain : (z, y, x) bool
    excluded : (z, y, x) bool
        Where the image says nothing of the deformation.
    in_t1 : AsT1 or None
        The head as a T1-weighted scan shows it, where that was asked for.
    """

    image: Array
    brain: Array
    excluded: Array
    in_t1: AsT1 | None = None


def appearance(image: ArrayOnGrid, region: Region, frame_to_lps: Matrix, box: Grid, threads: int) -> Appearance:
    """Sample a head in the frame, as the network was trained to see it.

    Parameters
    ----------
    image : (array, Grid)
        Intensities, (z, y, x).
    region : Region
        Its brain, or the mask in its place, and what is excluded.
    frame_to_lps : (4, 4) float64
        From the frame to the image, mm.
    box : Grid
        In the frame.
    threads : int
    """
    cube = Grid(box.size, frame_to_lps @ box.index_to_lps)

    def on_cube(one: ArrayOnGrid) -> Array:
        return resample(one[0].astype(np.float32), one[1], cube, np.eye(4), threads=threads)

    values = on_cube(block_mean(*image, float(box.spacing.min())))
    inside = region.mask if region.mask is not None else region.brain
    brain = np.ones(box.shape, bool) if inside is None else on_cube(inside) > BRAIN_SHARE
    excluded = np.zeros(box.shape, bool) if region.exclude is None else on_cube(region.exclude) > 0
    known = brain & ~excluded
    if not known.any():
        return Appearance(np.zeros(box.shape, np.float32), brain, excluded)
    values = filled(values, ~excluded) if excluded.any() else values
    low, high = np.percentile(values[known], (LOW, HIGH))
    shown = np.clip((values - low) / max(float(high - low), 1e-4), *CLIP) * grown(brain, GROWN_VOXELS)
    return Appearance(shown.astype(np.float32), brain, excluded)


def grown(mask: Array, voxels: int) -> Array:
    """Return a mask (z, y, x) grown by so many voxels along each axis."""
    return box_mean(mask.astype(np.float32), [voxels] * 3) > 1e-6


def filled(values: Array, known: Array) -> Array:
    """Return (..., z, y, x) values with what is not known replaced by means of what surrounds it."""
    flat = values.reshape(-1, *known.shape)
    out, missing = flat.copy(), ~known
    for reach in FILL_VOXELS:
        share = box_mean(known.astype(np.float32), [reach] * 3)
        now = missing & (share > 1e-3)
        for target, one in zip(out, flat, strict=True):
            target[now] = (box_mean(np.where(known, one, 0).astype(np.float32), [reach] * 3)[now]) / share[now]
        missing &= ~now
    out[:, missing] = 0
    return out.reshape(values.shape)
