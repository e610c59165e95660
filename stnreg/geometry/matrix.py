"""The homogeneous (4, 4) matrix: its type, and the check that it is an affine map."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import GeometryError

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]


def check_affine(a_to_b: ArrayLike) -> Matrix:
    """Check that a matrix is an affine map, and return it as float64.

    Parameters
    ----------
    a_to_b : (4, 4) array-like
        Maps column points (x, y, z, 1) of space a to space b.

    Returns
    -------
    a_to_b : (4, 4) float64

    Raises
    ------
    GeometryError
        If it is not (4, 4), not finite, or its last row is not (0, 0, 0, 1).

    Examples
    --------
    >>> check_affine(np.zeros((3, 4)))
    Traceback (most recent call last):
    stnreg.errors.GeometryError: expected a (4, 4) matrix, got (3, 4)
    """
    matrix = np.asarray(a_to_b, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"expected a (4, 4) matrix, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise GeometryError(f"expected finite numbers in a matrix, got {matrix.tolist()}")
    if not np.array_equal(matrix[3], (0.0, 0.0, 0.0, 1.0)):
        raise GeometryError(f"last row must be (0, 0, 0, 1), got {matrix[3].tolist()}")
    return matrix
