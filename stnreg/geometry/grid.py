"""A regular sampling grid: its size, and its position in patient space."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import GeometryError
from stnreg.geometry.matrix import Matrix, Points, check_affine

__all__ = ["Grid", "Matrix", "Points"]


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxels on a lattice, in any axis order, flip, obliqueness, spacing or shear.

    Parameters
    ----------
    size : tuple of int
        Number of voxels along (x, y, z); arrays on this grid have the shape (z, y, x).
    index_to_lps : (4, 4) float64
        Maps voxel indices (x, y, z, 1) to LPS points, mm.

    Raises
    ------
    GeometryError
        If a size is below one, or the matrix is not a finite, invertible affine.
    """

    size: tuple[int, int, int]
    index_to_lps: Matrix

    def __post_init__(self) -> None:
        """Check both members, and freeze a private copy of the matrix."""
        size = tuple(int(count) for count in self.size)
        if len(size) != 3 or min(size) < 1:
            raise GeometryError(f"expected a grid of three sizes (x, y, z), each at least 1, got {self.size}")
        matrix = check_affine(self.index_to_lps).copy()
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        # Relative to the spacing: at 1e-4 the cells are sheared flat to 0.006 degrees.
        if lengths.min() <= 0 or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-4:
            raise GeometryError(f"expected voxel axes that span space, got {matrix[:3, :3].tolist()}")
        matrix.flags.writeable = False
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "index_to_lps", matrix)

    @classmethod
    def from_parts(
        cls, size: ArrayLike, spacing: ArrayLike, origin: ArrayLike, direction: ArrayLike | None = None
    ) -> Self:
        """Build a grid from ITK's four parts.

        Parameters
        ----------
        size : (3,) int
            Voxels along (x, y, z).
        spacing, origin : (3,) float
            Voxel spacing in mm, and the LPS position of the first voxel's centre.
        direction : (3, 3) float, optional
            Unit columns: the LPS direction of each voxel axis; the identity by default.
        """
        index_to_lps = np.eye(4)
        axes = np.eye(3) if direction is None else np.asarray(direction, dtype=np.float64).reshape(3, 3)
        index_to_lps[:3, :3] = axes * np.asarray(spacing, dtype=np.float64)
        index_to_lps[:3, 3] = origin
        x, y, z = (int(count) for count in np.asarray(size))
        return cls((x, y, z), index_to_lps)

    @classmethod
    def cube(
        cls, center_lps: ArrayLike, size: ArrayLike, spacing_mm: ArrayLike, direction: ArrayLike | None = None
    ) -> Self:
        """Build a cube of `size` voxels a side around a point, or a box from three sizes.

        Parameters
        ----------
        center_lps : (3,) float
            Centre of the cube, LPS mm.
        size : int or (3,) int
            Voxels along each axis (x, y, z).
        spacing_mm : float or (3,) float
            Voxel spacing, one for all axes or one for each.
        direction : (3, 3) float, optional
            Unit columns; the LPS axes by default.
        """
        axes = np.eye(3) if direction is None else np.asarray(direction, dtype=np.float64)
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
        sizes = np.broadcast_to(np.asarray(size, dtype=np.int64), 3)
        origin = np.asarray(center_lps, dtype=np.float64) - (axes * spacing) @ ((sizes - 1) / 2)
        return cls.from_parts(sizes, spacing, origin, axes)

    def __eq__(self, other: object) -> bool:
        """Compare exactly, bit for bit; see `is_close` for a tolerance."""
        if not isinstance(other, Grid):
            return NotImplemented
        return self.size == other.size and np.array_equal(self.index_to_lps, other.index_to_lps)

    def __hash__(self) -> int:
        """Agree with `__eq__`."""
        return hash((self.size, (self.index_to_lps + 0.0).tobytes()))

    def is_close(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Return whether two grids have the same size, and corners closer than the tolerance."""
        if self.size != other.size:
            return False
        return bool(np.abs(self.corners_lps() - other.corners_lps()).max() <= tolerance_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        x, y, z = self.size
        return z, y, x

    def with_spacing(self, spacing_mm: ArrayLike) -> "Grid":
        """Return the grid of other voxels over the same field of view, or up to a voxel more, with the same centre.

        Parameters
        ----------
        spacing_mm : float or (3,) float
            Voxel spacing, one for all axes or one for each (x, y, z).

        Raises
        ------
        GeometryError
            If a spacing is not a positive number.
        """
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
        if not (np.isfinite(spacing).all() and spacing.min() > 0):
            raise GeometryError(f"expected voxel spacings above 0 mm, got {spacing.tolist()}")
        # A hundredth of a voxel is rounding, as of 0.8 mm in single precision.
        size = np.maximum(np.ceil(self.extent_mm / spacing - 0.01), 1).astype(np.int64)
        return Grid.cube(self.center_lps, size, spacing, self.direction)

    @property
    def spacing(self) -> Points:
        """Voxel spacing along (x, y, z), mm."""
        lengths: Points = np.sqrt((self.index_to_lps[:3, :3] ** 2).sum(axis=0))
        return lengths

    @property
    def origin(self) -> Points:
        """LPS position of the first voxel's centre, mm."""
        return self.index_to_lps[:3, 3].copy()

    @property
    def direction(self) -> Matrix:
        """Unit columns: the LPS direction of each voxel axis. Orthonormal unless the grid is sheared."""
        return self.index_to_lps[:3, :3] / self.spacing

    def cut(self, part: Sequence[slice]) -> "Grid":
        """Return the grid of a part of arrays (z, y, x) on this one: slices with a start and a stop."""
        shift = np.eye(4)
        shift[:3, 3] = [one.start for one in part[::-1]]
        x, y, z = (one.stop - one.start for one in part[::-1])
        return Grid((x, y, z), self.index_to_lps @ shift)

    def divided(self, largest_mm: float) -> "Grid":
        """Return the grid with its voxels divided along each axis until none is longer than `largest_mm`.

        Every voxel centre is one of the new grid's too, and the outer ones stay the outer ones.
        """
        parts = np.maximum(np.ceil(self.spacing / largest_mm - 1e-3), 1).astype(int)
        x, y, z = ((n - 1) * k + 1 for n, k in zip(self.size, parts.tolist(), strict=True))
        return Grid((x, y, z), self.index_to_lps @ np.diag([*(1 / parts), 1.0]))

    @property
    def extent_mm(self) -> Points:
        """Edge to edge length along each voxel axis, mm."""
        return self.spacing * self.size

    @property
    def is_orthonormal(self) -> bool:
        """Whether the voxel axes are at right angles; ITK refuses a grid where they are not."""
        direction = self.direction
        return bool(np.abs(direction.T @ direction - np.eye(3)).max() < 1e-4)

    @property
    def lps_to_index(self) -> Matrix:
        """(4, 4): LPS points, mm, to continuous voxel indices."""
        return np.asarray(np.linalg.inv(self.index_to_lps), dtype=np.float64)

    @property
    def index_to_normalized(self) -> Matrix:
        """(4, 4): voxel indices to the [-1, 1] cube, where -1 and 1 are the edges of the outer voxels."""
        size = np.asarray(self.size, dtype=np.float64)
        matrix = np.diag([*(2.0 / size), 1.0])
        matrix[:3, 3] = 1.0 / size - 1.0
        return matrix

    @property
    def normalized_to_index(self) -> Matrix:
        """(4, 4): the [-1, 1] cube to voxel indices."""
        size = np.asarray(self.size, dtype=np.float64)
        matrix = np.diag([*(size / 2.0), 1.0])
        matrix[:3, 3] = (size - 1.0) / 2.0
        return matrix

    @property
    def normalized_to_lps(self) -> Matrix:
        """(4, 4): the [-1, 1] cube to LPS points, mm."""
        return self.index_to_lps @ self.normalized_to_index

    @property
    def lps_to_normalized(self) -> Matrix:
        """(4, 4): LPS points, mm, to the [-1, 1] cube."""
        return self.index_to_normalized @ self.lps_to_index

    @property
    def center_lps(self) -> Points:
        """Centre of the grid, LPS mm."""
        return self.normalized_to_lps[:3, 3].copy()

    def corners_lps(self) -> Points:
        """Return the eight outer corners (voxel edges, not centres), (8, 3), LPS mm."""
        corners = np.array(list(product((-1.0, 1.0), repeat=3)))
        matrix = self.normalized_to_lps
        return corners @ matrix[:3, :3].T + matrix[:3, 3]


ArrayOnGrid = tuple[NDArray[Any], Grid]
"""An array (z, y, x) and the grid of its voxels."""
