"""The base class of transforms: map points, invert, compose, convert to a displacement field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points
from stnreg.transforms.sampling import slabs, voxel_points

if TYPE_CHECKING:
    from stnreg.transforms.chain import Chain
    from stnreg.transforms.displacement import DisplacementField


class Transform(ABC):
    """A map from LPS points of the fixed image to LPS points of the moving image, mm.

    Subclasses implement the map of (3, N) points, and the inverse.
    """

    @property
    def matrix(self) -> Matrix | None:
        """`fixed_to_moving` as (4, 4) float64, LPS mm, if the transform is linear; else None."""
        return None

    @abstractmethod
    def _map(self, points: Points) -> Points:
        """Map points, (3, N) float64, LPS mm, from fixed to moving; returns a new array."""

    @abstractmethod
    def inverse(self) -> Transform:
        """Return the transform from moving points to fixed points.

        Raises
        ------
        TransformError
            If the transform is not invertible.
        """

    def map_points(self, points_lps: ArrayLike) -> Points:
        """Map points of the fixed image to the moving image.

        Parameters
        ----------
        points_lps : (..., 3) float
            LPS mm.

        Returns
        -------
        points_lps : (..., 3) float64
            LPS mm.
        """
        points = np.asarray(points_lps, dtype=np.float64)
        if points.ndim < 1 or points.shape[-1] != 3:
            raise DataError(f"expected points (..., 3), got the shape {points.shape}")
        return self._map(points.reshape(-1, 3).T).T.reshape(points.shape)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map the voxel centres of a grid, as resampling needs them.

        Parameters
        ----------
        grid : Grid
            Grid of the fixed image.
        slices : slice
            Which slices along z.

        Returns
        -------
        points : (3, z, y, x) float64
            Moving LPS points, mm, of those slices.
        """
        points = voxel_points(grid, slices)
        return self._map(points.reshape(3, -1)).reshape(points.shape)

    def then(self, after: Transform) -> Chain:
        """Return the composition: this transform first, then `after`."""
        from stnreg.transforms.chain import Chain

        return Chain((self, after))

    def to_displacement(self, grid: Grid) -> DisplacementField:
        """Sample the transform at the voxel centres of a grid.

        Parameters
        ----------
        grid : Grid
            In the world space of the fixed image.

        Returns
        -------
        field : DisplacementField
            The same map at those points, to single precision; linear between them.
        """
        from stnreg.transforms.displacement import DisplacementField

        vectors = np.empty((3, *grid.shape), np.float32)
        for slab in slabs(grid):
            vectors[:, slab] = self.map_voxels(grid, slab) - voxel_points(grid, slab)
        return DisplacementField(vectors, grid)
