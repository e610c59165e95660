"""No folds: where a map comes close to one, its velocity is smoothed there, and there alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stnreg.core.threads import map_threads
from stnreg.registration.deformable.instance import box_around
from stnreg.registration.deformable.velocity import LATTICE_VOXELS, gaussian_reach, smoothed
from stnreg.registration.refine.region import box_mean
from stnreg.transforms.squaring import Squared
from stnreg.transforms.tetrahedra import smallest, smallest_again
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
LEAST_DETERMINANT = 0.12  # of the ten tetrahedra of a voxel, both ways: what a finer or turned grid leaves above 0
LEAST_MENDED = 0.05  # of the flows once they have been made each other's inverse, which moves them by a tenth of a mm
MAX_ROUNDS = 30
FIRST_ROUNDS = 6
FIRST, LATER = (1, 1.0, 4.0, 1), (2, 1.6, 60.0, 2)
"""How a place that is close to a fold is smoothed, in the first rounds and in all others: reach of the mean over the
close places around, in voxels; sigma of the Gaussian, in voxels; how much by that mean; how often the mean is taken, so
that what is smoothed has soft borders. The first rounds are mild: they meet thousands of places, and the others take
detail far around each. With two mild rounds the others still met thousands, and with more than six little changes."""


@dataclass(frozen=True, eq=False)
class Watched:
    """A velocity of which is known how close it comes to a fold.

    Attributes
    ----------
    velocity : VelocityField
    least : tuple of (z, y, x) float32
        The smallest of the ten determinants at each voxel, of exp(v) and of exp(-v).
    """

    velocity: VelocityField
    least: tuple[Array, Array]

    @classmethod
    def of(cls, velocity: VelocityField, threads: int = 1) -> Watched:
        """Measure a velocity everywhere; two threads are used, one for each way."""
        there, back = map_threads(lambda one: smallest(one.levels[-1]), velocity.squared(threads), threads=threads)
        return cls(velocity, (there, back))

    def changed_to(self, vectors: Array, threads: int = 1) -> Watched:
        """Measure another velocity, (3, z, y, x) mm, anew only where it may differ."""
        velocity = self.velocity.changed_to(vectors, threads)
        both = velocity.squared(threads)
        there, back = map_threads(_again, self.least, both, threads=threads)
        return Watched(velocity, (there, back))

    @property
    def close(self) -> Array:
        """Where it comes close to a fold, either way: (z, y, x) bool."""
        return np.minimum(*self.least) < LEAST_DETERMINANT


def _again(before: Array, squared: Squared) -> Array:
    steps = squared.levels[-1]
    return smallest(steps) if squared.affected is None else smallest_again(before, steps, squared.affected)


def unfolded(watched: Watched, threads: int = 1) -> Watched:
    """Smooth a velocity where its map, or the inverse, comes close to a fold, until neither does.

    What is close is judged both ways, so that exchanging the images still changes the sign and nothing else.

    Parameters
    ----------
    watched : Watched
        The velocity as it is.
    threads : int
        Of which two are used, one for each way; the result is the same.

    Returns
    -------
    watched : Watched
        The exponential of its velocity, and that of its inverse, are at hand.
    """
    for number in range(MAX_ROUNDS):
        close = watched.close
        if not close.any():
            close = _least_mended(watched.velocity, threads) < LEAST_MENDED
            if not close.any():
                break
        vectors = smoothed_near(watched.velocity.vectors, close, mild=number < FIRST_ROUNDS)
        watched = watched.changed_to(vectors, threads)
    return watched


def eased(watched: Watched, threads: int = 1) -> VelocityField:
    """Smooth a velocity mildly and once where its map, or the inverse, comes close to a fold.

    What is left may still fold; the symmetry under exchange stays.
    """
    close = watched.close
    if not close.any():
        return watched.velocity
    return watched.velocity.changed_to(smoothed_near(watched.velocity.vectors, close, mild=True), threads)


def smoothed_near(vectors: Array, close: Array, *, mild: bool = False) -> Array:
    """Smooth a velocity (3, z, y, x) around the places of a mask (z, y, x)."""
    reach, sigma, gain, times = FIRST if mild else LATER
    part = box_around(close, reach * times + gaussian_reach(sigma))
    out = vectors.copy()
    if part is None:
        return out
    share = close[part].astype(np.float32)
    for _ in range(times):
        share = box_mean(share, [reach] * 3)
    here = vectors[(slice(None), *part)]
    out[(slice(None), *part)] += np.minimum(gain * share, 1) * (smoothed(here, sigma) - here)
    return out


def _least_mended(velocity: VelocityField, threads: int) -> Array:
    """Return the smallest determinant at each voxel of either flow, (z, y, x), made each other's inverse."""
    there, back = map_threads(lambda flow: flow.least, velocity.mended(threads), threads=threads)
    return np.minimum(there, back)


def blocks(mask: Array) -> Array:
    """Return which control points have a voxel of a mask (z, y, x) in their block."""
    n = LATTICE_VOXELS
    z, y, x = (count // n for count in mask.shape)
    return np.asarray(mask[: z * n, : y * n, : x * n].reshape(z, n, y, n, x, n).any((1, 3, 5)))
