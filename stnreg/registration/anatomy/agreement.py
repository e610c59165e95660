"""Agreement of the structure maps of two images under a transform: the score of the quality assessment."""

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.resampling.channels import sample_maps

BRAIN_SHARE = 0.1  # map voxels with a lower brain probability are not compared


def map_agreement(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray) -> float:
    """Return the overlap coefficient of the soft structure maps, 0 to 1, mean of both directions.

    The overlap is divided by the smaller of the two volumes, so that half a head can agree with a whole one. For equal
    volumes it is the soft Dice coefficient. Structures are weighted by volume.

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
    theirs = sample_maps(b.maps_by_voxel, index)[1:]
    mine = a.maps.reshape(len(a.maps), -1)[1:, brain]
    # Volumes of what is compared: all structures of a, in voxels of b, and all of b.
    volume = abs(np.linalg.det(a.maps_grid.index_to_lps[:3, :3])) * abs(np.linalg.det(a_to_b[:3, :3]))
    share = volume / abs(np.linalg.det(b.maps_grid.index_to_lps[:3, :3]))
    least = min(mine.sum() * share, b.maps[1:].sum())
    return float(np.minimum(mine, theirs).sum() * share / max(least, 1e-6))


def common_share(fixed: Encoding, moving: Encoding, fixed_to_moving: np.ndarray) -> float:
    """Return the ratio of the brain volumes in the two fields of view, smaller over larger, 0 to 1; scale removed."""
    mine, theirs = (e.maps[1:].sum() * abs(np.linalg.det(e.maps_grid.index_to_lps[:3, :3])) for e in (fixed, moving))
    mine = mine * abs(np.linalg.det(fixed_to_moving[:3, :3]))
    return float(min(mine, theirs) / max(mine, theirs, 1e-6))
