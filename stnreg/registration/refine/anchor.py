"""What is known of an affine beside the intensities: terms that are added to the cost of the refinement.

A term is a negative log likelihood, in nats. The cost of the intensities is a mean over samples, summed over both
directions. Samples are not independent: what two people do not share is alike nearby. So twice the nats of a
term are divided by the number of independent samples that a brain holds, `INDEPENDENT`, and added to that cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.fitting import fit_affine, fit_similarity
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import UNIT_MM

Array = np.ndarray
# Independent samples in a brain, for two people: a cube of 11 mm each. Of 100, 300 and 1000 the best label Dice between
# validation heads; larger numbers were not tried. Without structures single pairs lose (`benchmarks.modalities.run`).
INDEPENDENT = 1000.0
# Standard deviation of one entry of the strain between two people (`benchmarks.modalities.heads_differ`).
HEADS_STRAIN = 0.05


@dataclass(frozen=True)
class Pull:
    """The normal equations of a term at an affine, and its cost; as in `Linearization`.

    Parameters
    ----------
    normal : (12, 12) float64
    rhs : (12,) float64
        Minus half the gradient of the cost.
    cost : float
    """

    normal: Array
    rhs: Array
    cost: float


class Anchor(Protocol):
    """A term of the cost."""

    def at(self, fixed_to_moving: Matrix, center_lps: Array) -> Pull:
        """Return the term at an affine, for an update about `center_lps`, fixed LPS mm."""


@dataclass(frozen=True)
class Structures:
    """Points of the same structures in both images.

    The points hold what the intensities of two people do not determine: there, folds that only one of them has would
    stretch the affine.

    Parameters
    ----------
    fixed_lps, moving_lps : (n, 3) float64
        Centroids, mm.
    weights : (n,) float64
        Inverse variances, 1 / mm^2.
    """

    fixed_lps: Array
    moving_lps: Array
    weights: Array

    @property
    def misfit(self) -> float:
        """Distance of the points after the best rigid transform over that after the best affine, at least about 1.

        Root mean squares. Of one head a rigid transform fits almost as well; two heads differ in shape.
        """
        there = _misfit(self.fixed_lps, self.moving_lps, self.weights)
        back = _misfit(self.moving_lps, self.fixed_lps, self.weights)
        return float(np.sqrt(there * back))

    def at(self, fixed_to_moving: Matrix, center_lps: Array) -> Pull:
        """Return the weighted squared distances, symmetric in the images, and their derivatives."""
        back = apply_affine(invert(fixed_to_moving), self.moving_lps)
        apart = back - self.fixed_lps
        # The metric halfway between that of both spaces, so that nothing depends on which image is the fixed one.
        metric = stretch(fixed_to_moving)
        at = np.c_[((self.fixed_lps + back) / 2 - center_lps) / UNIT_MM, np.ones(len(back))]
        weighted = at * self.weights[:, None] / INDEPENDENT
        return Pull(
            np.kron(metric, weighted.T @ at) * UNIT_MM**2,
            (weighted.T @ (apart @ metric)).T.ravel() * UNIT_MM,
            float(self.weights @ np.einsum("ni,ij,nj->n", apart, metric, apart)) / INDEPENDENT,
        )


def _misfit(a: Array, b: Array, weights: Array) -> float:
    rigid, affine = fit_similarity(a, b, weights, scale=False), fit_affine(a, b, weights)
    squared = [float(weights @ ((apply_affine(one, a) - b) ** 2).sum(1)) for one in (rigid, affine)]
    return float(np.sqrt(squared[0] / max(squared[1], 1e-12)))


@dataclass(frozen=True)
class HeadShape:
    """Heads differ in scale and shear by no more than a known spread.

    Parameters
    ----------
    spread : float
        Standard deviation of an entry of the strain.
    """

    spread: float = HEADS_STRAIN

    def at(self, fixed_to_moving: Matrix, center_lps: Array) -> Pull:
        """Return the squared strain over its variance, and its derivatives; `center_lps` has no influence."""
        entries = strain(fixed_to_moving)
        price = 1 / (self.spread**2 * INDEPENDENT)
        return Pull(price * _STRAINS.T @ _STRAINS, -price * _STRAINS.T @ entries, price * float(entries @ entries))


def stretch(fixed_to_moving: Matrix) -> Array:
    """Return the right stretch of an affine, (3, 3): its linear part is a rotation after this symmetric matrix."""
    linear = fixed_to_moving[:3, :3]
    squares, axes = np.linalg.eigh(linear.T @ linear)
    return np.asarray((axes * np.sqrt(np.maximum(squares, 1e-12))) @ axes.T)


def strain(fixed_to_moving: Matrix) -> Array:
    """Return the logarithm of the stretch of an affine, (6,): its diagonal, and its other entries times sqrt(2)."""
    linear = fixed_to_moving[:3, :3]
    squares, axes = np.linalg.eigh(linear.T @ linear)
    logarithm = (axes * (np.log(np.maximum(squares, 1e-12)) / 2)) @ axes.T
    entries: Array = _STRAINS.reshape(6, 3, 4)[:, :, :3].reshape(6, 9) @ logarithm.ravel()
    return entries


def _strains() -> Array:
    """Return the tangent directions of the six entries of the strain, (6, 12), orthonormal."""
    directions = np.zeros((6, 3, 4))
    for k, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        directions[k, i, j] = directions[k, j, i] = 1.0 if i == j else np.sqrt(0.5)
    return directions.reshape(6, 12)


_STRAINS = _strains()


def pull_of(anchors: Sequence[Anchor], fixed_to_moving: Matrix, center_lps: Array) -> Pull:
    """Return the sum of several terms; zero without any."""
    pulls = [anchor.at(fixed_to_moving, center_lps) for anchor in anchors]
    normal = sum((pull.normal for pull in pulls), np.zeros((12, 12)))
    rhs = sum((pull.rhs for pull in pulls), np.zeros(12))
    return Pull(normal, rhs, sum(pull.cost for pull in pulls))
