"""How well two images' own maps of structures agree under a transform: the ground of the verdict."""

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.inference.anatomy import Encoding, common_structures
from stnreg.inference.pose import CORNERS

BRAIN_SHARE = 0.1  # map voxels with less brain than this are not compared
# Root mean square distances of a brain's voxels from its middle, LPS.
BRAIN_MM = (29.0, 38.0, 27.0)


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


def reach_mm(fixed: Encoding, moving: Encoding) -> float:
    """Return how far an affine through both images' structures may be off, root mean square over the whole brain.

    The standard error of a least-squares fit, were every centroid off by itself as far as on validation scans: about
    0.9 mm for two heads that are all in view, twice that for half of one, whose other half is only extrapolated.

    Parameters
    ----------
    fixed, moving : Encoding

    Returns
    -------
    float
        mm, fixed and moving space averaged; infinity where the structures lie in a plane, or there are fewer than four.
    """
    f, m, weights, whole = common_structures(fixed, moving)
    return (_one_reach_mm(f, weights * whole, fixed) + _one_reach_mm(m, weights * whole, moving)) / 2


def _one_reach_mm(points_lps: np.ndarray, weights: np.ndarray, encoding: Encoding) -> float:
    brain = np.c_[apply_affine(encoding.template_to_lps, CORNERS * BRAIN_MM), np.ones(len(CORNERS))]
    known = np.c_[points_lps, np.ones(len(points_lps))]
    information = known.T @ (weights[:, None] * known)
    if len(points_lps) < 4 or np.linalg.cond(information) > 1e12:
        return float("inf")
    variance_mm2 = np.einsum("pi,ij,pj->p", brain, np.linalg.inv(information), brain)
    return float(np.sqrt(3 * variance_mm2.mean()))


def sample_maps(maps: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Interpolate maps linearly.

    Parameters
    ----------
    maps : (K, D, H, W) float32
    index : (N, 3) float64
        (x, y, z) voxel indices; outside the maps everything is background.

    Returns
    -------
    (K, N) float32
    """
    count, depth, height, width = maps.shape
    sizes = np.array([width, height, depth])
    inside = np.all((index >= 0) & (index <= sizes - 1), axis=1)
    clipped = np.clip(index, 0, sizes - 1)
    low = np.minimum(np.floor(clipped).astype(int), sizes - 2)
    part = (clipped - low).astype(np.float32)
    rows = np.ascontiguousarray(maps.reshape(count, -1).T)  # all maps of a voxel side by side: one look-up serves all
    out = np.zeros((len(index), count), np.float32)
    for corner in range(8):
        step = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        weight = np.prod(np.where(step, part, 1 - part), axis=1, dtype=np.float32)
        x, y, z = (low + step).T
        out += rows[(z * height + y) * width + x] * weight[:, None]
    out[~inside] = 0
    out[~inside, 0] = 1
    return out.T
