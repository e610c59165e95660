"""Cubic B-splines on a lattice: fields at voxels, the adjoint, bending energy, systems. Arrays are (3, z, y, x)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Array = np.ndarray
Bases = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Lattice:
    """Control points every `step` voxels over a box of voxels.

    Attributes
    ----------
    shape : (z, y, x)
        Of the box.
    step : float
        Voxels.
    """

    shape: tuple[int, int, int]
    step: float

    @cached_property
    def fine(self) -> Bases:
        """Along z, y, x: the weight of each control point at each voxel, (voxels, points)."""
        z, y, x = (_basis(n, self.step) for n in self.shape)
        return z, y, x

    @cached_property
    def coarse(self) -> Bases:
        """The same for blocks of two voxels."""
        z, y, x = ((b[: len(b) // 2 * 2 : 2] + b[1 : len(b) // 2 * 2 : 2]) / 2 for b in self.fine)
        return z, y, x

    def zeros(self) -> Array:
        """Return coefficients of the zero field."""
        return np.zeros((3, *(b.shape[1] for b in self.fine)), np.float32)

    def field(self, coefficients: Array) -> Array:
        """Return the field at the voxels."""
        return synthesize(coefficients, self.fine)


def synthesize(coefficients: Array, bases: Bases) -> Array:
    """Return a field from its coefficients."""
    z, y, x = bases
    found = np.matmul(y, coefficients @ x.T)
    return np.ascontiguousarray(np.moveaxis(np.tensordot(found, z, ([1], [1])), -1, 1))


def gather(values: Array, bases: Bases) -> Array:
    """Apply the adjoint of `synthesize`: sums of values over voxels, weighted by the splines."""
    z, y, x = bases
    found = np.matmul(y.T, values @ x)
    return np.ascontiguousarray(np.moveaxis(np.tensordot(found, z, ([1], [0])), -1, 1))


def bending(coefficients: Array) -> Array:
    """Return half the gradient of the bending energy: the sum of all squared second differences."""
    out = np.zeros_like(coefficients)
    for a in (1, 2, 3):
        for b in range(a, 4):
            orders = [(a, 2)] if a == b else [(a, 1), (b, 1)]
            d = coefficients
            for axis, order in orders:
                d = np.diff(d, order, axis=axis)
            for axis, order in orders:
                d = np.diff(np.pad(d, [(order, order) if k == axis else (0, 0) for k in range(4)]), order, axis=axis)
            out += d if a == b else 2 * d
    return out


def block_sums(values: Array) -> Array:
    """Add blocks of two voxels along the last three axes; odd ends are dropped."""
    z, y, x = (n // 2 for n in values.shape[-3:])
    kept = values[..., : 2 * z, : 2 * y, : 2 * x].reshape(*values.shape[:-3], z, 2, y, 2, x, 2)
    return np.asarray(kept.sum((-5, -3, -1), dtype=np.float32))


def solve(apply: Callable[[Array], Array], rhs: Array, diagonal: Array, steps: int) -> Array:
    """Solve a symmetric system by conjugate gradients with a diagonal preconditioner."""
    x, residual = np.zeros_like(rhs), rhs.copy()
    direction = residual / diagonal
    size = float((residual * direction).sum())
    for _ in range(steps):
        if size <= 1e-20:
            break
        applied = apply(direction)
        share = size / float((direction * applied).sum())
        x += share * direction
        residual -= share * applied
        scaled = residual / diagonal
        size, before = float((residual * scaled).sum()), size
        direction = scaled + size / before * direction
    return x


def _basis(count: int, step: float) -> Array:
    points = int(np.ceil((count - 1) / step)) + 4
    place = np.arange(count) / step
    first = np.floor(place).astype(int)
    f = place - first
    weights = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
    basis = np.zeros((count, points), np.float32)
    for k, weight in enumerate(weights):
        basis[np.arange(count), first + k] += (weight / 6).astype(np.float32)
    return basis
