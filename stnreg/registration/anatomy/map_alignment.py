"""Align the soft structure maps of two images by symmetric robust Gauss-Newton, for small fields of view.

The centroid of a truncated structure is biased, and the few structures that are complete do not determine an affine
well. The maps are compared voxel by voxel instead, inside the overlap of both brains.
"""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.lie import exp_affine
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.resampling.channels import sample_maps_with_gradient

Array = np.ndarray
BRAIN_SHARE = 0.7  # maps are compared where both brain masks exceed this
EVERY = 8  # every n-th brain voxel is sampled
MAX_STEPS = 12
ROUGH_EVERY, ROUGH_STEPS = 16, 4  # to compare candidates
STOP_MM = 0.01
UNIT_MM = 50.0  # unit of length of an update: all twelve parameters move the brain about equally
MIN_VOXELS = 50


@dataclass(frozen=True)
class _Samples:
    """Samples of one brain: map values (N, K), and points (N, 3), LPS mm."""

    shares: Array
    points_lps: Array


@dataclass(frozen=True)
class _Linearization:
    """Normal equations of one direction, (12, 12) and (12,); squared residuals (N,) and their robust scale."""

    normal: Array
    rhs: Array
    squares: Array
    scale: float


_Linearizations = tuple[_Linearization, _Linearization]  # fixed samples in moving, moving samples in fixed


def fit_maps(fixed: Encoding, moving: Encoding, fixed_to_moving: Matrix, *, rough: bool = False) -> Matrix:
    """Refine an affine by the structure maps inside the overlap of both brains.

    Symmetric: exchanging the images gives the inverse.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        Initial transform, a few millimetres off, LPS mm.
    rough : bool
        With fewer samples and steps, at a sixth of the cost.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        The initial transform if the cost does not fall.
    """
    every, steps = (ROUGH_EVERY, ROUGH_STEPS) if rough else (EVERY, MAX_STEPS)
    fixed_samples, moving_samples = _samples(fixed, every), _samples(moving, every)
    to_unit = np.diag([1 / UNIT_MM, 1 / UNIT_MM, 1 / UNIT_MM, 1.0])
    to_unit[:3, 3] = -apply_affine(fixed.template_to_lps, np.zeros(3)) / UNIT_MM

    def linearize_at(current: Matrix) -> _Linearizations | None:
        inverse = invert(current)
        there = _linearize(fixed_samples, moving, current, to_unit, current[:3, :3])
        back = _linearize(moving_samples, fixed, inverse, to_unit @ inverse, -np.eye(3))
        return None if there is None or back is None else (there, back)

    current, first = fixed_to_moving, linearize_at(fixed_to_moving)
    linearized = first
    for _ in range(steps):
        if linearized is None:
            break
        step = exp_affine(_solve(linearized) @ to_unit)
        moved_mm = _motion_mm(step, fixed_samples) + _motion_mm(compose(current, step, invert(current)), moving_samples)
        current = compose(current, step)
        linearized = linearize_at(current)
        if moved_mm < STOP_MM:
            break
    return current if first and linearized and _cost(linearized, first) < _cost(first, first) else fixed_to_moving


def _solve(linearized: _Linearizations) -> Array:
    """Solve the normal equations for the update, a (4, 4) generator in units of `UNIT_MM`; minimum norm."""
    there, back = linearized
    numbers = np.linalg.lstsq(there.normal + back.normal, there.rhs + back.rhs, rcond=1e-6)[0]
    return np.vstack([numbers.reshape(3, 4), np.zeros(4)])


def _cost(linearized: _Linearizations, first: _Linearizations) -> float:
    """Return the mean robust cost of both directions, at the scales of the first linearization."""
    return sum(float(np.log1p(one.squares / by.scale).mean()) for one, by in zip(linearized, first, strict=True))


def _samples(encoding: Encoding, every: int) -> _Samples:
    """Sample every n-th voxel of the brain."""
    z, y, x = (axis[::every] for axis in np.nonzero(encoding.brain > BRAIN_SHARE))
    return _Samples(encoding.maps[:, z, y, x].T, apply_affine(encoding.maps_grid.index_to_lps, np.c_[x, y, z]))


def _motion_mm(step: Matrix, samples: _Samples) -> float:
    """Return the mean displacement of samples by an update, mm."""
    return float(np.linalg.norm(apply_affine(step, samples.points_lps) - samples.points_lps, axis=1).mean())


def _linearize(
    samples: _Samples, other: Encoding, own_to_other: Matrix, own_to_step: Matrix, turn: Array
) -> _Linearization | None:
    """Compare samples with the maps of the other image; None if the overlap is too small.

    An update acts on `own_to_step` x, a point of fixed space. Its displacement in fixed space becomes `turn` times that
    in the space of the other image.
    """
    to_index = other.maps_grid.lps_to_index
    index = apply_affine(to_index @ own_to_other, samples.points_lps)
    values, gradient, inside = sample_maps_with_gradient(other.maps_by_voxel, index)
    ok = inside & (1 - values[:, 0] > BRAIN_SHARE)
    if ok.sum() < MIN_VOXELS:
        return None
    residual = (samples.shares - values)[ok]
    squares = np.einsum("nk,nk->n", residual, residual)
    scale = 2.0 * float(np.median(squares)) + 1e-6
    weights = 1 / (1 + squares / scale)
    slope = np.tensordot((to_index[:3, :3] @ turn).T.astype(np.float32), gradient[:, ok], axes=1)  # (3, n, K), per mm
    tensor = np.einsum("ink,jnk->ijn", slope, slope) * weights
    force = np.einsum("ink,nk->in", slope, residual) * weights
    at = np.c_[apply_affine(own_to_step, samples.points_lps[ok]), np.ones(len(squares))]
    normal = np.einsum("ijn,na,nb->iajb", tensor, at, at, optimize=True).reshape(12, 12)
    return _Linearization(normal, (force @ at).reshape(12), squares, scale)
