"""No folds: where a map comes close to one, its velocity is smoothed there, and there alone."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.velocity import LATTICE_VOXELS, smoothed, velocity_field
from stnreg.registration.refine.region import box_mean
from stnreg.transforms.jacobian import smallest_determinant
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
LEAST_DETERMINANT = 0.1  # of the ten tetrahedra of a voxel, both ways: what a finer or turned grid leaves above 0
MAX_ROUNDS = 12
SIGMA = 1.0  # of the Gaussian that smooths, control points
REACH = 2  # control points around a place that are smoothed with it


def unfolded(coefficients: Array, grid: Grid) -> tuple[Array, VelocityField]:
    """Smooth a velocity where its map, or the inverse, comes close to a fold, until neither does.

    What is close is judged both ways, so that exchanging the images still changes the sign and nothing else.

    Parameters
    ----------
    coefficients : (3, z, y, x) float32
        mm, ready to integrate.
    grid : Grid
        The box.

    Returns
    -------
    coefficients : (3, z, y, x) float32
    velocity : VelocityField
        Of them; both its exponentials are computed.
    """
    velocity = velocity_field(coefficients, grid)
    for _ in range(MAX_ROUNDS):
        ways = velocity.exponential(), velocity.inverse().exponential()
        close = np.minimum(*(smallest_determinant(way.vectors, grid) for way in ways)) < LEAST_DETERMINANT
        if not close.any():
            break
        weight = _around(blocks(close))
        coefficients = coefficients + weight * (smoothed(coefficients, SIGMA) - coefficients)
        velocity = velocity_field(coefficients, grid)
    return coefficients, velocity


def blocks(mask: Array) -> Array:
    """Return which control points have a voxel of a mask (z, y, x) in their block."""
    n = LATTICE_VOXELS
    z, y, x = (count // n for count in mask.shape)
    return np.asarray(mask[: z * n, : y * n, : x * n].reshape(z, n, y, n, x, n).any((1, 3, 5)))


def _around(mask: Array) -> Array:
    """Return weights (z, y, x) float32 that are 1 at a mask and near it, and fall to 0 within a few control points."""
    near = (box_mean(mask.astype(np.float32), [REACH] * 3) > 1e-6).astype(np.float32)
    return box_mean(near, [1] * 3)
