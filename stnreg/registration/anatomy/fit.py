"""Least-squares affine between two encodings, and its standard error."""

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.lie import geodesic_mean
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.map_alignment import fit_maps
from stnreg.registration.anatomy.maps import cauchy_weights, robust_similarity, wholeness
from stnreg.registration.anatomy.pose import CORNERS

Array = np.ndarray
WHOLE_SHARE = 0.9  # fraction of structures inside the field of view above which centroids alone are used
RIDGE = 0.01  # regularization towards a similarity; stronger for a smaller field of view
# Standard deviation of the voxels of a brain along L, P, S, mm.
BRAIN_MM = (29.0, 38.0, 27.0)


def fit_pair(fixed: Encoding, moving: Encoding, dof: int = 12, *, rough: bool = False) -> Array:
    """Fit the transform between two images from the centroids of their structures.

    Symmetric: exchanging the images gives the inverse. 9 degrees of freedom start from the 12-parameter fit. If the
    structures inside the field of view do not determine an affine well, the maps are aligned voxel by voxel too.

    Parameters
    ----------
    fixed, moving : Encoding
    dof : int
        6, 7, 9 or 12.
    rough : bool
        Whether the maps are aligned only roughly: enough to compare candidates.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        LPS mm.
    """
    f, m, weights, whole = common_structures(fixed, moving)
    if dof in (6, 7):
        return robust_similarity(f, m, weights * whole, scale=dof != 6)[0]
    fixed_to_moving, _ = _fit_centroids(f, m, weights, whole)
    whole_share = whole.sum() / (len(fixed.weights) - 1)  # of all but the background
    if whole_share < WHOLE_SHARE and affine_standard_error_mm(fixed, moving) > fixed.calibration.whole_head_error_mm:
        return fit_maps(fixed, moving, fixed_to_moving, rough=rough)
    return fixed_to_moving


def trusted_structures(fixed: Encoding, moving: Encoding) -> tuple[Array, Array, Array]:
    """Return the structures that were found in both images, and how far each is trusted after an affine fit.

    Returns
    -------
    fixed_lps, moving_lps : (structures, 3) float64
        Centroids, mm.
    weights : (structures,) float64
        About 1 / mm^2; less for structures that are cut by the field of view, or far from where the others put them.
    """
    f, m, weights, whole = common_structures(fixed, moving)
    return f, m, _fit_centroids(f, m, weights, whole)[1]


def distance_from_structures_mm(fixed: Encoding, moving: Encoding, fixed_to_moving: Array) -> float:
    """Return how far a rigid transform is from the best rigid one through the structures of both images.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        LPS mm.

    Returns
    -------
    float
        mm, weighted root mean square over the structures that both images show.
    """
    f, m, weights, whole = common_structures(fixed, moving)
    best, trusted = robust_similarity(f, m, weights * whole, scale=False)
    trusted = weights * whole * trusted
    squared = ((apply_affine(fixed_to_moving, f) - apply_affine(best, f)) ** 2).sum(1)
    return float(np.sqrt(trusted @ squared / trusted.sum()))


def _fit_centroids(f: Array, m: Array, weights: Array, whole: Array) -> tuple[Array, Array]:
    """Fit an affine robustly and symmetrically; return it, and the weights of the structures."""
    ridge = RIDGE * (weights.sum() / (weights @ whole)) ** 2
    weights = weights * whole
    trusted = weights * robust_similarity(f, m, weights)[1]
    for _ in range(3):
        forward, backward = fit_affine(f, m, trusted, ridge=ridge), fit_affine(m, f, trusted, ridge=ridge)
        fixed_to_moving = geodesic_mean([forward, invert(backward)])
        # Distances in both directions, so that the weights are symmetric in the images.
        there = np.linalg.norm(apply_affine(fixed_to_moving, f) - m, axis=1)
        back = np.linalg.norm(apply_affine(invert(fixed_to_moving), m) - f, axis=1)
        trusted = weights * cauchy_weights(np.sqrt(there * back), floor_mm=2.0)
    return fixed_to_moving, trusted


def common_structures(fixed: Encoding, moving: Encoding) -> tuple[Array, Array, Array, Array]:
    """Return the structures that were found in both images.

    Returns
    -------
    fixed_lps, moving_lps : (structures, 3) float64
        Centroids, mm.
    weights : (structures,) float64
        Weights, about 1 / mm^2.
    whole : (structures,) float64
        Confidence that a structure is inside both fields of view completely, 0 to 1.
    """
    both = ~np.isnan(fixed.centroids_lps[:, 0]) & ~np.isnan(moving.centroids_lps[:, 0])
    growth = moving.volumes_mm3[both] / fixed.volumes_mm3[both]
    heads = np.linalg.det(moving.template_to_lps[:3, :3]) / np.linalg.det(fixed.template_to_lps[:3, :3])
    weights = np.sqrt(fixed.weights * moving.weights)[both]
    return fixed.centroids_lps[both], moving.centroids_lps[both], weights, wholeness(growth / heads)


def affine_standard_error_mm(fixed: Encoding, moving: Encoding) -> float:
    """Return the standard error of the affine that the structures determine, root mean square over the whole brain.

    The standard error of the least-squares fit if centroid errors are independent and as large as on validation scans:
    about 0.9 mm for two whole heads, twice that for half a head, whose other half is extrapolated.

    Parameters
    ----------
    fixed, moving : Encoding

    Returns
    -------
    float
        mm, mean of fixed and moving space. Infinite if the structures are coplanar or fewer than four.
    """
    f, m, weights, whole = common_structures(fixed, moving)
    return (_one_standard_error_mm(f, weights * whole, fixed) + _one_standard_error_mm(m, weights * whole, moving)) / 2


def _one_standard_error_mm(points_lps: Array, weights: Array, encoding: Encoding) -> float:
    brain = np.c_[apply_affine(encoding.template_to_lps, CORNERS * BRAIN_MM), np.ones(len(CORNERS))]
    known = np.c_[points_lps, np.ones(len(points_lps))]
    information = known.T @ (weights[:, None] * known)
    if len(points_lps) < 4 or np.linalg.cond(information) > 1e12:
        return float("inf")
    variance_mm2 = np.einsum("pi,ij,pj->p", brain, np.linalg.inv(information), brain)
    return float(np.sqrt(3 * variance_mm2.mean()))
