"""Affine transforms."""

from typing import Self

from numpy.typing import ArrayLike

from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Matrix, Points, check_affine
from stnreg.transforms.base import Transform
from stnreg.transforms.sampling import moved


class Affine(Transform):
    """An affine map.

    Parameters
    ----------
    matrix : (4, 4) float64
        `fixed_to_moving`: maps fixed points to moving points, LPS mm.

    Raises
    ------
    GeometryError
        If it is not affine.
    """

    def __init__(self, matrix: ArrayLike) -> None:
        self._matrix = check_affine(matrix).copy()
        self._matrix.flags.writeable = False

    def __repr__(self) -> str:
        return f"Affine({self._matrix.tolist()})"

    @property
    def matrix(self) -> Matrix:
        """`fixed_to_moving`, (4, 4) float64, LPS mm."""
        return self._matrix

    def inverse(self) -> Self:
        """Return the affine from moving to fixed; GeometryError if the matrix is singular."""
        return type(self)(invert(self._matrix))

    def _map(self, points: Points) -> Points:
        return moved(self._matrix, points)
