"""Free-form deformations: displacements in cubic B-splines on a lattice of control points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Points
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import Vectors, moved, turned, voxel_points

if TYPE_CHECKING:
    from stnreg.transforms.inverse import Inverse

FOLDING_FACTOR = 2.479472335
"""K in three dimensions: Choi and Lee, Injectivity conditions of 2D and 3D uniform cubic B-spline functions, Graphical
Models 62 (2000) 411-427."""


@dataclass(frozen=True, eq=False)
class BSplineField(Transform):
    """x_moving = x_fixed + u(x_fixed), with u a sum of cubic B-splines, one around each control point.

    u is twice continuously differentiable. Beyond the outer control points it decreases to zero within two spacings.

    Attributes
    ----------
    coefficients : (3, z, y, x) float32
        LPS mm, component x, y, z first. u at a control point is 8/27 of its coefficient plus those of its neighbours.
    lattice : Grid
        Positions of the control points, in the world space of the fixed image.

    Raises
    ------
    TransformError
        If the array does not fit the lattice, or has values that are not finite.
    """

    coefficients: Vectors
    lattice: Grid

    def __post_init__(self) -> None:
        """Check the array, as for a displacement field."""
        object.__setattr__(self, "coefficients", DisplacementField(self.coefficients, self.lattice).vectors)

    def folding_bound(self) -> Points:
        """Return the largest coefficient along each lattice axis for which the map cannot fold, (3,), mm.

        A map is one to one if the component of every coefficient along each lattice axis is below 1 / K of the spacing,
        K = 2.479 (0.403 of the spacing). Sufficient, not necessary (Choi and Lee 2000; Chun and Fessler 2009 give wider
        bounds, Sdika 2008 and 2013 a sharp one). Larger deformations are composed of maps within the bound (Rueckert et
        al., MICCAI 2006).
        """
        return self.lattice.spacing / FOLDING_FACTOR

    def share_of_bound(self) -> float:
        """Return the largest coefficient relative to `folding_bound`; below 1 the map cannot fold."""
        steps = turned(self.lattice.lps_to_index[:3, :3], self.coefficients)
        return float(np.abs(steps).max()) * FOLDING_FACTOR

    def inverse(self) -> Inverse:
        """Return the inverse, computed at the requested points to 0.001 mm; see `inverse.Inverse`.

        Raises
        ------
        TransformError
            If the coefficients exceed the folding bound, and the map, sampled at a quarter of the spacing, folds.
        """
        from stnreg.transforms.inverse import Inverse

        if self.share_of_bound() < 1:
            return Inverse(self, self._surroundings(1))
        return Inverse.of_field(self, self.to_displacement(self._surroundings(4)))

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map voxel centres; separably if the axes of the grid are those of the lattice."""
        to_lattice = self.lattice.lps_to_index @ grid.index_to_lps
        off_axis = to_lattice[:3, :3] - np.diag(np.diag(to_lattice[:3, :3]))
        # Tolerance: a ten thousandth of the spacing over the whole grid.
        if np.abs(off_axis @ np.diag(grid.size)).max() > 1e-4:
            return super().map_voxels(grid, slices)
        x, y, z = (
            _basis(to_lattice[axis, axis] * np.arange(grid.size[axis]) + to_lattice[axis, 3], self.lattice.size[axis])
            for axis in range(3)
        )
        found = np.einsum("az,czyx->cayx", z[slices], self.coefficients, optimize=True)
        found = np.matmul(np.matmul(y, found), x.T)
        return voxel_points(grid, slices) + found

    def _map(self, points: Points) -> Points:
        from scipy.ndimage import map_coordinates

        index = moved(self.lattice.lps_to_index, points)[::-1]
        found = np.empty(points.shape)
        for component, out in zip(self.coefficients, found, strict=True):
            map_coordinates(component, index, out, order=3, mode="grid-constant", prefilter=False)
        return points + found

    def _surroundings(self, finer: int) -> Grid:
        """Return the lattice, extended by two control points on each side and refined by a factor."""
        to_index = np.diag([1 / finer] * 3 + [1.0])
        to_index[:3, 3] = -2
        x, y, z = ((count + 3) * finer + 1 for count in self.lattice.size)
        return Grid((x, y, z), self.lattice.index_to_lps @ to_index)


def _basis(index: Points, count: int) -> NDArray[np.float32]:
    """Return the weight of each of `count` control points at each lattice index: (N, count)."""
    away = np.abs(index[:, None] - np.arange(count))
    near = 2 / 3 - away**2 + away**3 / 2
    far = np.clip(2 - away, 0, None) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)
