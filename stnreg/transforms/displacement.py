"""Displacement fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import TransformError
from stnreg.geometry.affine import invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points
from stnreg.transforms import jacobian
from stnreg.transforms.base import Transform
from stnreg.transforms.sampling import Vectors, interpolate, moved, slabs, turned, voxel_points

if TYPE_CHECKING:
    from stnreg.transforms.inverse import Inverse


@dataclass(frozen=True, eq=False)
class DisplacementField(Transform):
    """x_moving = x_fixed + u(x_fixed), with u given at the voxel centres of a grid and trilinear in between.

    Beyond the outer voxel centres u is extrapolated with the nearest value, so the map is continuous and can be
    inverted at the edge. ITK, ANTs and Greedy set u to zero there. Both agree inside the grid, and so at all voxels of
    the fixed image.

    Attributes
    ----------
    vectors : (3, z, y, x) float32
        u, LPS mm, component x, y, z first.
    grid : Grid
        In the world space of the fixed image; may be sheared.

    Raises
    ------
    TransformError
        If the array does not fit the grid, or has values that are not finite.
    """

    vectors: Vectors
    grid: Grid

    def __post_init__(self) -> None:
        """Check the array, and convert it for interpolation."""
        vectors = np.asarray(self.vectors)
        if vectors.shape != (3, *self.grid.shape):
            raise TransformError(f"expected displacements {(3, *self.grid.shape)} on the grid, got {vectors.shape}")
        if vectors.dtype.kind not in "fiu":
            raise TransformError(f"expected displacements that are real numbers, got {vectors.dtype}")
        vectors = np.ascontiguousarray(vectors, np.float32)
        # A sum is several times faster than a mask, and finite for every finite field.
        if not np.isfinite(np.sum(vectors, dtype=np.float64)):
            raise TransformError("expected finite displacements, got NaN or infinity; put 0 where nothing is known")
        object.__setattr__(self, "vectors", vectors)

    @classmethod
    def from_last_axis(cls, vectors: ArrayLike, grid: Grid) -> DisplacementField:
        """Create a field from displacements (z, y, x, 3), LPS mm, the layout of SimpleITK."""
        return cls(np.moveaxis(np.asarray(vectors, np.float32), -1, 0), grid)

    @classmethod
    def zero(cls, grid: Grid) -> DisplacementField:
        """Return the identity on a grid."""
        return cls(np.zeros((3, *grid.shape), np.float32), grid)

    def largest_mm(self) -> float:
        """Return the length of the longest displacement, mm."""
        return max(float(np.sqrt((self.vectors[:, k] ** 2).sum(0).max())) for k in range(self.grid.shape[0]))

    def inverse(self) -> Inverse:
        """Return the inverse, computed at the requested points to 0.001 mm.

        It is not resampled: `inverse().inverse()` is this field. `inverse().to_displacement(grid)` gives a field to
        save. See `inverse.Inverse` for the iteration.

        Raises
        ------
        TransformError
            If the field folds by the digital criterion of `count_folds`.
        """
        from stnreg.transforms.inverse import Inverse

        return Inverse.of_field(self, self)

    def to_displacement(self, grid: Grid) -> DisplacementField:
        """Resample the field to another grid; on its own grid it is returned unchanged."""
        return self if grid == self.grid else self.carried(np.eye(4), grid)

    def carried(self, to_other: Matrix, grid: Grid) -> DisplacementField:
        """Return the same map as it is seen in another world space, A o (x + u) o A^-1, on a grid there.

        Parameters
        ----------
        to_other : (4, 4) float64
            A, from this world space to the other, mm.
        grid : Grid
            In the other world space.
        """
        here = Grid(grid.size, invert(to_other) @ grid.index_to_lps)
        vectors = np.empty((3, *grid.shape), np.float32)
        for slab in slabs(grid):
            vectors[:, slab] = turned(to_other[:3, :3], self._at_voxels(here, slab))
        return DisplacementField(vectors, grid)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map voxel centres; on the field's own grid nothing is interpolated."""
        found = self.vectors[:, slices] if grid == self.grid else self._at_voxels(grid, slices)
        return voxel_points(grid, slices) + found

    def _at_voxels(self, grid: Grid, slices: slice) -> Vectors:
        """Interpolate the displacement at the voxel centres of some slices of another grid, (3, z, y, x)."""
        index_grid = Grid(grid.size, self.grid.lps_to_index @ grid.index_to_lps)
        at = voxel_points(index_grid, slices)
        return interpolate(self.vectors, at.reshape(3, -1)).reshape(at.shape)

    def jacobian_determinant(self) -> NDArray[np.float32]:
        """Return det(dx_moving / dx_fixed) at each voxel, (z, y, x) float32, by central differences.

        Above 1 the map expands; at or below 0 it folds. At the outer voxels differences are one-sided.
        """
        return jacobian.determinant(self.vectors, self.grid)

    def log_jacobian(self) -> NDArray[np.float32]:
        """Return the natural logarithm of `jacobian_determinant`, (z, y, x) float32; NaN where that is not positive."""
        found = self.jacobian_determinant()
        found[found <= 0] = np.nan
        return np.log(found, out=found)

    def count_folds(self, mask: NDArray[np.bool_] | None = None) -> jacobian.Folds:
        """Count where the map folds, by central differences and by the digital criterion of Liu et al. (2022).

        Parameters
        ----------
        mask : (z, y, x) bool, optional
            Voxels to include; all by default.
        """
        return jacobian.count_folds(self.vectors, self.grid, mask)

    def _map(self, points: Points) -> Points:
        return points + interpolate(self.vectors, moved(self.grid.lps_to_index, points))
