"""Scaling and squaring (Arsigny et al., MICCAI 2006), and the same again where a velocity has changed in places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.transforms.sampling import Vectors, interpolate, slabs
from stnreg.transforms.tetrahedra import smallest, smallest_again

Mask = NDArray[np.bool_]
MUCH = 0.2
"""Share of the voxels beyond which all are computed anew: to gather some takes several times as long for each."""
TAKEN_BACK = 0.6
"""Of what interpolation leaves between both flows, by each: at half, they agree at the voxels and less between them."""


@dataclass(frozen=True, eq=False)
class Squared:
    """exp(v) with the displacements on the way to it.

    Attributes
    ----------
    small : (3, z, y, x) float32
        v / 2^n, voxels, x first: at most about one voxel.
    levels : tuple of (3, z, y, x) float32
        exp(v / 2^n) - x, exp(v / 2^(n-1)) - x, ... exp(v) - x, voxels.
    affected : (z, y, x) bool or None
        Where the last of them may differ from that of the velocity it was changed from; None if it was not changed.
    """

    small: Vectors
    levels: tuple[Vectors, ...]
    affected: Mask | None = None

    @classmethod
    def of(cls, small: Vectors, squarings: int) -> Squared:
        """Compute all levels."""
        # First step by the midpoint rule: second order; v alone would be first order.
        levels = [followed(small, small * np.float32(0.5), add=False)]
        for _ in range(squarings):
            levels.append(followed(levels[-1], levels[-1]))
        return cls(small, tuple(levels))

    def changed_to(self, small: Vectors) -> Squared:
        """Compute the levels of another velocity, and only there anew where they may differ; the same bits as `of`."""
        affected: Mask = (small != self.small).any(0)
        half = small * np.float32(0.5)
        affected = _reached(affected, half)
        levels = [_renewed(self.levels[0], small, half, affected, add=False)]
        for before in self.levels[1:]:
            steps = levels[-1]
            affected = _reached(affected, steps)
            levels.append(_renewed(before, steps, steps, affected))
        return Squared(small, tuple(levels), affected)


@dataclass(eq=False)
class Mended:
    """One of two flows that interpolation leaves not quite each other's inverse, with a share of the rest taken back.

    With e the rest, which the other flow after this one leaves of the identity, that is steps(x - `TAKEN_BACK` e(x)).
    The other flow takes back as much, so that exchanging the two exchanges the results.

    Attributes
    ----------
    steps, other : (3, z, y, x) float32
        Both flows as they were, voxels, x first.
    rest : (3, z, y, x) float32
        Of the identity.
    mended : (3, z, y, x) float32
    before : Mended, optional
        What it was changed from.
    affected : (z, y, x) bool, optional
        Where it may differ from that.
    """

    steps: Vectors
    other: Vectors
    rest: Vectors
    mended: Vectors
    before: Mended | None = None
    affected: Mask | None = None

    @classmethod
    def of(cls, steps: Vectors, other: Vectors) -> Mended:
        """Mend a flow."""
        rest = followed(other, steps)
        return cls(steps, other, rest, followed(steps, rest * np.float32(-TAKEN_BACK)))

    def changed_to(self, steps: Vectors, other: Vectors) -> Mended:
        """Mend another flow, and only there anew where it may differ; the same bits as `of`."""
        changed = (steps != self.steps).any(0)
        affected = changed | _reached((other != self.other).any(0), steps)
        rest = _renewed(self.rest, other, steps, affected)
        by = rest * np.float32(-TAKEN_BACK)
        affected = affected | _reached(changed, by)
        return Mended(steps, other, rest, _renewed(self.mended, steps, by, affected), self, affected)

    @cached_property
    def least(self) -> Vectors:
        """The smallest of the ten determinants of each voxel, (z, y, x); see `tetrahedra.smallest`."""
        before, self.before = self.before, None
        if before is None or self.affected is None or "least" not in vars(before):
            return smallest(self.mended)
        return smallest_again(before.least, self.mended, self.affected)


def followed(steps: Vectors, by: Vectors, *, add: bool = True) -> Vectors:
    """Return steps(x + by(x)), plus by(x) with `add`: (3, z, y, x), voxels."""
    grid = Grid(steps.shape[:0:-1], np.eye(4))
    found = np.empty_like(steps)
    for slab in slabs(grid):
        at = by[:, slab].copy()
        for place, count, axis in zip(at, grid.size, (2, 1, 0), strict=True):
            own = np.arange(count, dtype=np.float32)[slab if axis == 0 else slice(None)]
            place += own.reshape([-1 if a == axis else 1 for a in range(3)])
        values = interpolate(steps, at.reshape(3, -1)).reshape(at.shape)
        found[:, slab] = values + by[:, slab] if add else values
    return found


def _renewed(before: Vectors, steps: Vectors, by: Vectors, where: Mask, *, add: bool = True) -> Vectors:
    """Return what `followed` gives, computed in a mask alone; `before` elsewhere."""
    flat = np.flatnonzero(where)
    if len(flat) == where.size:
        return followed(steps, by, add=add)
    here = by.reshape(3, -1)[:, flat]
    at = np.stack(np.unravel_index(flat, where.shape)[::-1]).astype(np.float32)
    at += here
    values = interpolate(steps, at)
    found = before.copy()
    found.reshape(3, -1)[:, flat] = values + here if add else values
    return found


def _reached(mask: Mask, by: Vectors) -> Mask:
    """Return a mask with the voxels x for which one of the eight neighbours of x + by(x) is in it.

    Where that would be much of the grid, all of it: to find out which takes as long as to compute all anew.
    """
    if np.count_nonzero(mask) > MUCH * mask.size:
        return np.ones_like(mask)
    cells = mask.copy()  # those that begin at each voxel; the last ones are the voxels alone
    for axis in range(3):
        rest, after = [slice(None)] * 3, [slice(None)] * 3
        rest[axis], after[axis] = slice(None, -1), slice(1, None)
        cells[tuple(rest)] |= cells[tuple(after)].copy()
    base = np.zeros(mask.shape, np.int32 if mask.size < 2**31 else np.intp)
    for axis, count in enumerate(mask.shape):  # z, y, x
        at = np.arange(count, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        place = at + by[2 - axis]
        np.clip(place, 0, max(count - 2, 0), out=place)
        base *= count
        base += place.astype(base.dtype)
    found: Mask = cells.reshape(-1).take(base)
    return found | mask
