"""Conversion between physical affines and the `theta` of a spatial transformer."""

import numpy as np

from stnreg.errors import GeometryError
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, check_affine


def theta_from_affine(fixed_to_moving: Matrix, fixed: Grid, moving: Grid) -> Matrix:
    """Express a physical affine as the `theta` that `affine_grid` expects.

    `affine_grid` places one normalised moving coordinate at every fixed voxel, so `theta` maps fixed to moving:
    the direction in which resampling pulls, and the direction ITK writes to disk. No inverse is taken.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        Maps fixed LPS points to moving LPS points, mm.
    fixed, moving : Grid
        Sampling grids of the output and of the image being resampled.

    Returns
    -------
    theta : (3, 4) float64
        Acts on (x, y, z, 1) in the [-1, 1] cube with `align_corners=False`; x runs along the last tensor axis.

    Raises
    ------
    GeometryError
        If `fixed_to_moving` is not (4, 4) or its last row is not (0, 0, 0, 1).

    References
    ----------
    Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015, eq. 1.

    Examples
    --------
    Sampling 2 mm further to the patient's left, on a 10 mm wide grid, adds 0.4:

    >>> grid = Grid(size=(10, 10, 10), index_to_lps=np.eye(4))
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 2.0
    >>> [round(float(value), 9) for value in theta_from_affine(shift, fixed=grid, moving=grid)[0]]
    [1.0, 0.0, 0.0, 0.4]
    """
    matrix = moving.lps_to_normalized @ check_affine(fixed_to_moving) @ fixed.normalized_to_lps
    return np.ascontiguousarray(matrix[:3])


def affine_from_theta(theta: Matrix, fixed: Grid, moving: Grid) -> Matrix:
    """Convert a `theta` on two grids to a physical affine; the inverse of `theta_from_affine`.

    Parameters
    ----------
    theta : (3, 4) float
        Fixed to moving in the [-1, 1] cubes of the two grids.
    fixed, moving : Grid
        The grids that the two images were sampled on when `theta` was estimated.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        Maps fixed LPS points to moving LPS points, mm.

    Raises
    ------
    GeometryError
        If `theta` is not (3, 4) and finite.
    """
    theta = np.asarray(theta, dtype=np.float64)
    if theta.shape != (3, 4) or not np.isfinite(theta).all():
        raise GeometryError(f"expected a finite (3, 4) theta, got {theta.tolist()}")
    matrix = np.vstack([theta, (0.0, 0.0, 0.0, 1.0)])
    fixed_to_moving: Matrix = moving.normalized_to_lps @ matrix @ fixed.lps_to_normalized
    fixed_to_moving[3] = (0.0, 0.0, 0.0, 1.0)
    return fixed_to_moving
