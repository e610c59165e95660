"""No folds: where a map comes close to one, its velocity is smoothed there, and there alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.velocity import LATTICE_VOXELS, smoothed
from stnreg.registration.refine.region import box_mean
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.jacobian import smallest_determinant
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
LEAST_DETERMINANT = 0.25  # of the ten tetrahedra of a voxel, both ways: what a finer or turned grid leaves above 0
LEAST_MENDED = 0.05  # of the flows once they have been made each other's inverse, which moves them by a tenth of a mm
MAX_ROUNDS = 30
FIRST_ROUNDS = 2
FIRST, LATER = (1, 1.0, 4.0, 1), (2, 1.6, 60.0, 2)
"""How a place that is close to a fold is smoothed, in the first rounds and in all others: reach of the mean over the
close places around, in voxels; sigma of the Gaussian, in voxels; how much by that mean; how often the mean is taken, so
that what is smoothed has soft borders. The first rounds are mild: they meet thousands of places."""


def unfolded(vectors: Array, grid: Grid, threads: int = 1) -> VelocityField:
    """Smooth a velocity where its map, or the inverse, comes close to a fold, until neither does.

    What is close is judged both ways, so that exchanging the images still changes the sign and nothing else.

    Parameters
    ----------
    vectors : (3, z, y, x) float32
        Velocity, mm.
    grid : Grid
        The box.
    threads : int
        Of which two are used, one for each way; the result is the same.

    Returns
    -------
    velocity : VelocityField
        With its exponential, and that of its inverse, at hand.
    """
    velocity = VelocityField(vectors, grid)
    for number in range(MAX_ROUNDS):
        close = _least(velocity.raw_flows(threads), threads) < LEAST_DETERMINANT
        if not close.any():
            flows = velocity.exponential(threads), velocity.inverse().exponential()
            close = _least(flows, threads) < LEAST_MENDED
            if not close.any():
                break
        velocity = VelocityField(smoothed_near(velocity.vectors, close, mild=number < FIRST_ROUNDS), grid)
    return velocity


def eased(vectors: Array, grid: Grid, threads: int = 1) -> Array:
    """Smooth a velocity (3, z, y, x) mm mildly and once where its map, or the inverse, comes close to a fold.

    What is left may still fold; the symmetry under exchange stays.
    """
    close = _least(VelocityField(vectors, grid).raw_flows(threads), threads) < LEAST_DETERMINANT
    return smoothed_near(vectors, close, mild=True) if close.any() else vectors


def smoothed_near(vectors: Array, close: Array, *, mild: bool = False) -> Array:
    """Smooth a velocity (3, z, y, x) around the places of a mask (z, y, x)."""
    reach, sigma, gain, times = FIRST if mild else LATER
    share = close.astype(np.float32)
    for _ in range(times):
        share = box_mean(share, [reach] * 3)
    out: Array = vectors + np.minimum(gain * share, 1) * (smoothed(vectors, sigma) - vectors)
    return out


def _least(flows: tuple[DisplacementField, DisplacementField], threads: int) -> Array:
    """Return the smallest determinant at each voxel of either flow, (z, y, x)."""
    with ThreadPoolExecutor(min(max(threads, 1), 2)) as pool:
        there, back = pool.map(lambda flow: smallest_determinant(flow.vectors, flow.grid), flows)
    return np.minimum(there, back)


def blocks(mask: Array) -> Array:
    """Return which control points have a voxel of a mask (z, y, x) in their block."""
    n = LATTICE_VOXELS
    z, y, x = (count // n for count in mask.shape)
    return np.asarray(mask[: z * n, : y * n, : x * n].reshape(z, n, y, n, x, n).any((1, 3, 5)))
