"""Stationary velocity fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from stnreg.core.threads import map_threads
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Points
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import Vectors, turned
from stnreg.transforms.squaring import Mask, Mended, Squared
from stnreg.transforms.tetrahedra import largest_row_bound

FIRST_STEP = 1.0
"""Largest displacement before the first squaring, voxels. Smaller values change results between two brains by 0.001 mm
in the mean and by 0.03 mm at most."""
STEEPEST = 1.0
"""Of the first step, which is one to one where its `row_bound` is below 1."""

T = TypeVar("T")


@dataclass(eq=False)
class _Flows:
    """What was computed of a velocity, both ways: in the order of the field that came first."""

    squared: tuple[Squared, Squared] | None = None
    mended: tuple[Mended, Mended] | None = None
    before: tuple[Mended, Mended] | None = None  # of the velocity that this one was changed from, if they are at hand
    fields: tuple[DisplacementField, DisplacementField] | None = None


@dataclass(frozen=True, eq=False)
class VelocityField(Transform):
    """The map exp(v): the flow of a stationary velocity field v at time 1.

    Its inverse is exp(-v). If v is smooth on its grid, the map does not fold. Both flows are computed on the grid of v,
    by scaling and squaring (Arsigny et al., MICCAI 2006), and are trilinear between its voxels. What interpolation
    leaves between one and the inverse of the other is then taken back by both alike. Beyond the outer voxel centres
    the displacement is extrapolated with the nearest value.

    Attributes
    ----------
    vectors : (3, z, y, x) float32
        v, LPS mm per unit of time, component x, y, z first.
    grid : Grid
        In the world space of the fixed image.

    Raises
    ------
    TransformError
        If the array does not fit the grid, or has values that are not finite.
    """

    vectors: Vectors
    grid: Grid

    def __post_init__(self) -> None:
        """Check the array, as for a displacement field."""
        object.__setattr__(self, "vectors", DisplacementField(self.vectors, self.grid).vectors)

    @cached_property
    def squarings(self) -> int:
        """Number of squarings: the first step is at most `FIRST_STEP` long, and its `row_bound` at most `STEEPEST`.

        Where the sizes in each row of the Jacobian matrix of a displacement sum to less than 1, the map is one to one;
        trilinear interpolation keeps the bound. Chun and Fessler (IEEE J Sel Top Signal Process 3, 2009) bound the
        differences of neighbouring B-spline coefficients to the same end.
        """
        return _squarings_of(turned(self.grid.lps_to_index[:3, :3], self.vectors))

    def exponential(self, threads: int = 1) -> DisplacementField:
        """Return exp(v) as a displacement field on the velocity's grid; computed once, with that of the inverse.

        Parameters
        ----------
        threads : int
            Of which two are used, one for each way; the result is the same.
        """
        kept = self._flows
        if kept.fields is None:
            to_mm = self.grid.index_to_lps[:3, :3]
            kept.fields = self._ordered(
                *(DisplacementField(turned(to_mm, one.mended), self.grid) for one in self.mended(threads))
            )
        return self._ordered(*kept.fields)[0]

    def mended(self, threads: int = 1) -> tuple[Mended, Mended]:
        """Return both flows, in voxels, with what interpolation leaves between them taken back; computed once."""
        kept = self._flows
        if kept.mended is None:
            steps = [one.levels[-1] for one in self.squared(threads)]
            before = (None, None) if kept.before is None else self._ordered(*kept.before)
            kept.mended = self._ordered(*_on_two(threads, _mended, steps, steps[::-1], before))
            kept.before = None
        return self._ordered(*kept.mended)

    def raw_flows(self, threads: int = 1) -> tuple[DisplacementField, DisplacementField]:
        """Return exp(v) and exp(-v) as scaling and squaring leave them, each computed for itself; see `exponential`."""
        there, back = (
            DisplacementField(turned(self.grid.index_to_lps[:3, :3], one.levels[-1]), self.grid)
            for one in self.squared(threads)
        )
        return there, back

    def squared(self, threads: int = 1) -> tuple[Squared, Squared]:
        """Return how exp(v) and exp(-v) come to be, in voxels; computed once."""
        kept = self._flows
        if kept.squared is None:
            kept.squared = self._ordered(*_on_two(threads, _squared, (self, self.inverse())))
        return self._ordered(*kept.squared)

    def forget_steps(self) -> None:
        """Keep the flows alone, and not how they came to be, which takes several times their memory."""
        self.exponential()
        self._flows.squared = self._flows.mended = self._flows.before = None

    def half(self) -> VelocityField:
        """Return v / 2, whose flows are at hand where those of v are."""
        half = VelocityField(self.vectors * np.float32(0.5), self.grid)
        if self._flows.squared is not None and self.squarings:
            there, back = (Squared(one.small, one.levels[:-1]) for one in self.squared())
            half._flows.squared = there, back
        return half

    def changed_to(self, vectors: Vectors, threads: int = 1) -> VelocityField:
        """Return another velocity, whose flows are computed anew only where they may differ: the same to the last bit.

        It has as many squarings as this one, or more if its own bounds ask for them.

        Parameters
        ----------
        vectors : (3, z, y, x) float32
            On the same grid.
        threads : int
            Of which two are used, one for each way; the result is the same.
        """
        other = VelocityField(vectors, self.grid)
        before, small = self.squared(threads), other._small(self.squarings)
        if _squarings_of(small, (small != before[0].small).any(0)):  # as many squarings no longer do
            return other
        vars(other)["squarings"] = self.squarings
        other._flows.squared = _on_two(threads, Squared.changed_to, before, (small, -small))
        mended = self._flows.mended or self._flows.before
        other._flows.before = None if mended is None else self._ordered(*mended)
        return other

    def inverse(self) -> VelocityField:
        """Return exp(-v), whose inverse is this field."""
        inverse = VelocityField(-self.vectors, self.grid)
        inverse.__dict__.update(_flows=self._flows, _reversed=not self._reversed, squarings=self.squarings)
        return inverse

    def to_displacement(self, grid: Grid) -> DisplacementField:
        """Sample the flow on a grid; on the velocity's own grid nothing is interpolated."""
        return self.exponential().to_displacement(grid)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map voxel centres; on the velocity's own grid nothing is interpolated."""
        return self.exponential().map_voxels(grid, slices)

    def _small(self, squarings: int) -> Vectors:
        return turned(self.grid.lps_to_index[:3, :3] / 2.0**squarings, self.vectors)

    @cached_property
    def _flows(self) -> _Flows:
        # A field and its inverse share it, and neither holds the other: flows are freed with the last of them.
        return _Flows()

    @cached_property
    def _reversed(self) -> bool:
        return False

    def _ordered(self, there: T, back: T) -> tuple[T, T]:
        """Return what belongs to this field first, then what belongs to its inverse; the same order undoes it."""
        return (back, there) if self._reversed else (there, back)

    def _map(self, points: Points) -> Points:
        return self.exponential()._map(points)


def _squared(velocity: VelocityField) -> Squared:
    return Squared.of(velocity._small(velocity.squarings), velocity.squarings)


def _mended(steps: Vectors, other: Vectors, before: Mended | None) -> Mended:
    return Mended.of(steps, other) if before is None else before.changed_to(steps, other)


def _squarings_of(steps: Vectors, where: Mask | None = None) -> int:
    """Return how many squarings bring steps (3, z, y, x), voxels, within their limits; in a mask (z, y, x) alone."""
    longest = float(np.abs(steps if where is None else steps[:, where]).max(initial=0.0))
    excess = max(longest / FIRST_STEP, largest_row_bound(steps, where) / STEEPEST)
    return max(int(np.ceil(np.log2(excess))), 0) if excess > 0 else 0


def _on_two(threads: int, function: Callable[..., T], *items: Sequence[Any]) -> tuple[T, T]:
    """Return what a function returns of both ways, side by side where there are threads for it."""
    there, back = map_threads(function, *items, threads=threads)
    return there, back
