"""How well two images' own maps of structures agree under a transform: the ground of the verdict."""

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.registration.anatomy.encode import Encoding
from stnreg.resampling.channels import sample_maps

BRAIN_SHARE = 0.1  # map voxels with less brain than this are not compared


def map_agreement(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray) -> float:
    """Return how much of the two images' structures lies on each other, 0 to 1, both ways and averaged.

    It is a share of the image that shows less: half a head on a whole one can agree as well as two whole ones. For
    those it is the soft Dice. Structures count by their size.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.
    """
    there = _one_way(fixed, moving, fixed_to_moving)
    back = _one_way(moving, fixed, np.linalg.inv(fixed_to_moving))
    return (there + back) / 2


def _one_way(a: Encoding, b: Encoding, a_to_b: np.ndarray) -> float:
    brain = np.flatnonzero(a.brain.reshape(-1) > BRAIN_SHARE)
    depth, height, width = a.brain.shape
    z, y, x = np.unravel_index(brain, (depth, height, width))
    points = apply_affine(a.maps_grid.index_to_lps, np.stack([x, y, z], 1).astype(float))
    index = apply_affine(b.maps_grid.lps_to_index, apply_affine(a_to_b, points))
    theirs = sample_maps(b.maps, index)[1:]
    mine = a.maps.reshape(len(a.maps), -1)[1:, brain]
    # Both masses are of what can be compared: the part of b inside a's brain, and all of a.
    volume = abs(np.linalg.det(a.maps_grid.index_to_lps[:3, :3])) * abs(np.linalg.det(a_to_b[:3, :3]))
    share = volume / abs(np.linalg.det(b.maps_grid.index_to_lps[:3, :3]))
    least = min(mine.sum() * share, b.maps[1:].sum())
    return float(np.minimum(mine, theirs).sum() * share / max(least, 1e-6))


def common_share(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray) -> float:
    """Return the volume of the smaller brain in view over that of the larger one, on one scale, 0 to 1."""
    mine, theirs = (e.maps[1:].sum() * abs(np.linalg.det(e.maps_grid.index_to_lps[:3, :3])) for e in (fixed, moving))
    mine = mine * abs(np.linalg.det(fixed_to_moving[:3, :3]))
    return float(min(mine, theirs) / max(mine, theirs, 1e-6))
