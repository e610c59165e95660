"""No folds: where a map comes close to one, its velocity is smoothed there, and there alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.velocity import LATTICE_VOXELS, smoothed, velocity_field
from stnreg.registration.refine.region import box_mean
from stnreg.transforms.jacobian import smallest_determinant
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
LEAST_DETERMINANT = 0.25  # of the ten tetrahedra of a voxel, both ways: what a finer or turned grid leaves above 0
MAX_ROUNDS = 30
SIGMA = 0.8  # of the Gaussian that smooths, control points
REACH = 1  # control points around a place that are smoothed with it, by how many such places are near
GAINS = (1.0, 2.0, 4.0)  # how much, in the first rounds and in all others


def unfolded(coefficients: Array, grid: Grid, threads: int = 1) -> tuple[VelocityField, VelocityField]:
    """Smooth a velocity where its map, or the inverse, comes close to a fold, until neither does.

    What is close is judged both ways, so that exchanging the images still changes the sign and nothing else.

    Parameters
    ----------
    coefficients : (3, z, y, x) float32
        mm, ready to integrate.
    grid : Grid
        The box.
    threads : int
        Of which two are used, one for each way; the result is the same.

    Returns
    -------
    velocity, inverse : VelocityField
        With their exponentials at hand.
    """
    with ThreadPoolExecutor(1) as pool:
        for number in range(MAX_ROUNDS):
            velocity = velocity_field(coefficients, grid)
            inverse = velocity.inverse()
            waiting = pool.submit(_smallest, inverse) if threads > 1 else None
            there = _smallest(velocity)
            back = _smallest(inverse) if waiting is None else waiting.result()
            close = np.minimum(there, back) < LEAST_DETERMINANT
            if not close.any():
                break
            gain = GAINS[min(number, len(GAINS) - 1)]
            weight = np.minimum(gain * box_mean(blocks(close).astype(np.float32), [REACH] * 3), 1)
            coefficients = coefficients + weight * (smoothed(coefficients, SIGMA) - coefficients)
    return velocity, inverse


def _smallest(velocity: VelocityField) -> Array:
    return smallest_determinant(velocity.exponential().vectors, velocity.grid)


def blocks(mask: Array) -> Array:
    """Return which control points have a voxel of a mask (z, y, x) in their block."""
    n = LATTICE_VOXELS
    z, y, x = (count // n for count in mask.shape)
    return np.asarray(mask[: z * n, : y * n, : x * n].reshape(z, n, y, n, x, n).any((1, 3, 5)))
