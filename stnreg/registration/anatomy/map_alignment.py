"""Lay two images' soft maps of structures on each other: where much of a brain is out of view, surfaces say more.

Centroids of structures that are cut say nothing, and those of the few that are whole leave an affine loose. Inside
what both images show of the brain every map is compared voxel by voxel, by robust Gauss-Newton both ways at once.
"""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.lie import exp_affine
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encode import Encoding
from stnreg.resampling.channels import sample_maps_with_gradient

Array = np.ndarray
BRAIN_SHARE = 0.7  # where both images show this much of a brain, their maps are compared
EVERY = 8  # voxel of the brain
MAX_STEPS = 12
STOP_MM = 0.01
UNIT_MM = 50.0  # a step's linear part counts per so many: all twelve numbers move the brain about alike
MIN_VOXELS = 50


@dataclass(frozen=True)
class _Samples:
    """Voxels of one image's brain: their (N, K) shares, and (N, 3) where they lie, LPS mm."""

    shares: Array
    points_lps: Array


@dataclass(frozen=True)
class _View:
    """What the samples of one image see in the other: (12, 12) and (12,) of least squares, squared residuals (N,)."""

    normal: Array
    pull: Array
    squares: Array
    scale: float


def fit_maps(fixed: Encoding, moving: Encoding, fixed_to_moving: Matrix) -> Matrix:
    """Improve an affine that is a few millimetres off, by the maps where both images show the brain.

    Symmetric: exchanging the images gives the inverse.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        The start, LPS mm.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        The start, where nothing fits better.
    """
    ours, theirs = _samples(fixed), _samples(moving)
    to_unit = np.diag([1 / UNIT_MM, 1 / UNIT_MM, 1 / UNIT_MM, 1.0])
    to_unit[:3, 3] = -apply_affine(fixed.template_to_lps, np.zeros(3)) / UNIT_MM

    def views_under(current: Matrix) -> tuple[_View, _View] | None:
        back = invert(current)
        there_view = _view(ours, moving, current, to_unit, current[:3, :3])
        back_view = _view(theirs, fixed, back, to_unit @ back, -np.eye(3))
        return None if there_view is None or back_view is None else (there_view, back_view)

    current, first = fixed_to_moving, views_under(fixed_to_moving)
    views = first
    for _ in range(MAX_STEPS):
        if views is None:
            break
        step = exp_affine(_solve(views) @ to_unit)
        moved_mm = _motion_mm(step, ours) + _motion_mm(compose(current, step, invert(current)), theirs)
        current = compose(current, step)
        views = views_under(current)
        if moved_mm < STOP_MM:
            break
    return current if first and views and _cost(views, first) < _cost(first, first) else fixed_to_moving


def _solve(views: tuple[_View, _View]) -> Array:
    """Return the step, a (4, 4) generator in units; what the maps do not determine stays put."""
    numbers = np.linalg.lstsq(views[0].normal + views[1].normal, views[0].pull + views[1].pull, rcond=1e-6)[0]
    return np.vstack([numbers.reshape(3, 4), np.zeros(4)])


def _cost(views: tuple[_View, _View], first: tuple[_View, _View]) -> float:
    """Return the mean robust cost both ways, at the scales of the first views."""
    return sum(float(np.log1p(view.squares / by.scale).mean()) for view, by in zip(views, first, strict=True))


def _samples(encoding: Encoding) -> _Samples:
    """Take every so many voxels of the brain."""
    z, y, x = (axis[::EVERY] for axis in np.nonzero(encoding.brain > BRAIN_SHARE))
    return _Samples(encoding.maps[:, z, y, x].T, apply_affine(encoding.maps_grid.index_to_lps, np.c_[x, y, z]))


def _motion_mm(step: Matrix, samples: _Samples) -> float:
    """Return how far a step moves samples, mean."""
    return float(np.linalg.norm(apply_affine(step, samples.points_lps) - samples.points_lps, axis=1).mean())


def _view(samples: _Samples, other: Encoding, own_to_other: Matrix, own_to_step: Matrix, turn: Array) -> _View | None:
    """Compare samples with the maps of the other image; None where next to nothing of both is brain.

    A step moves a place `own_to_step` x by so many millimetres in fixed space, which is `turn` times as much where the
    other image is looked up.
    """
    to_index = other.maps_grid.lps_to_index
    index = apply_affine(to_index @ own_to_other, samples.points_lps)
    seen, gradient, inside = sample_maps_with_gradient(other.maps, index)
    ok = inside & (1 - seen[:, 0] > BRAIN_SHARE)
    if ok.sum() < MIN_VOXELS:
        return None
    residual = (samples.shares - seen)[ok]
    squares = np.einsum("nk,nk->n", residual, residual)
    scale = 2.0 * float(np.median(squares)) + 1e-6
    weights = 1 / (1 + squares / scale)
    slope = np.tensordot((to_index[:3, :3] @ turn).T.astype(np.float32), gradient[:, ok], axes=1)  # (3, n, K), per mm
    tensor = np.einsum("ink,jnk->ijn", slope, slope) * weights
    force = np.einsum("ink,nk->in", slope, residual) * weights
    at = np.c_[apply_affine(own_to_step, samples.points_lps[ok]), np.ones(len(squares))]
    normal = np.einsum("ijn,na,nb->iajb", tensor, at, at, optimize=True).reshape(12, 12)
    return _View(normal, (force @ at).reshape(12), squares, scale)
