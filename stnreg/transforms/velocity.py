"""Stationary velocity fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Points
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import Vectors, interpolate, slabs, turned, voxel_points

FIRST_STEP = 0.5
"""Largest displacement before the first squaring, voxels. Smaller values change results by less than 0.003 mm."""


@dataclass(frozen=True, eq=False)
class VelocityField(Transform):
    """The map exp(v): the flow of a stationary velocity field v at time 1.

    Its inverse is exp(-v). If v is smooth on its grid, the map does not fold. The flow is computed on the grid of v, by
    scaling and squaring (Arsigny et al., MICCAI 2006), and is trilinear between its voxels. Beyond the outer voxel
    centres the displacement is extrapolated with the nearest value.

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

    @property
    def squarings(self) -> int:
        """Number of squarings, by the largest velocity: the first step is at most half a voxel."""
        steps = turned(self.grid.lps_to_index[:3, :3], self.vectors)
        largest = float(np.abs(steps).max(initial=0.0))
        return max(int(np.ceil(np.log2(largest / FIRST_STEP))), 0) if largest > 0 else 0

    def exponential(self) -> DisplacementField:
        """Return exp(v) as a displacement field on the velocity's grid; computed once."""
        return self._exponential

    def inverse(self) -> VelocityField:
        """Return exp(-v): the inverse up to interpolation."""
        return VelocityField(-self.vectors, self.grid)

    def to_displacement(self, grid: Grid) -> DisplacementField:
        """Sample the flow on a grid; on the velocity's own grid nothing is interpolated."""
        return self.exponential().to_displacement(grid)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map voxel centres; on the velocity's own grid nothing is interpolated."""
        return self.exponential().map_voxels(grid, slices)

    @cached_property
    def _exponential(self) -> DisplacementField:
        # In voxels along the axes of the grid: a squaring is an addition and an interpolation.
        index_grid = Grid(self.grid.size, np.eye(4))
        squarings = self.squarings
        steps = turned(self.grid.lps_to_index[:3, :3] / 2.0**squarings, self.vectors)
        # First step by the midpoint rule: second order; v alone would be first order.
        steps = _followed(steps, steps * np.float32(0.5), index_grid, add=False)
        for _ in range(squarings):
            steps = _followed(steps, steps, index_grid)
        return DisplacementField(turned(self.grid.index_to_lps[:3, :3], steps), self.grid)

    def _map(self, points: Points) -> Points:
        return self.exponential()._map(points)


def _followed(steps: Vectors, by: Vectors, grid: Grid, *, add: bool = True) -> Vectors:
    """Return steps(x + by(x)), plus by(x) with `add`: (3, z, y, x) on a grid of indices."""
    found = np.empty_like(steps)
    for slab in slabs(grid):
        at: NDArray[np.float32] = voxel_points(grid, slab).astype(np.float32)
        at += by[:, slab]
        values = interpolate(steps, at.reshape(3, -1)).reshape(at.shape)
        found[:, slab] = values + by[:, slab] if add else values
    return found
