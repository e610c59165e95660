"""Mutual information and outlines of two objects: gradient, Gauss-Newton matrix and cost of one direction.

Two people correlate weakly inside, and a cube has hardly any texture. Mutual information of the whole objects, air
included, assumes no relation between the intensities; the squared difference of the outlines is added, so that the
surfaces meet.

Mutual information is the mean of log p(own | other) - log p(own), and p is estimated from the samples with B-spline
windows (Mattes et al., "PET-CT image registration in the chest using free-form deformations", IEEE TMI 2003, eq. 8 to
12). Its Hessian is taken as the mean outer product of each sample's derivative (Fisher scoring), over `FISHER`.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.linearization import MIN_SAMPLES, jacobian
from stnreg.registration.refine.object_level import ObjectLevel, ObjectSamples
from stnreg.registration.refine.pyramid import PyramidLevel, transform
from stnreg.registration.refine.samples import Samples

Array = np.ndarray
BINS = 32
LEAST = 1e-9  # of a probability, in logarithms
FISHER = 3.0  # the outer products exceed the Hessian between two people; steps of this factor converge fastest
OUTLINE = 10.0  # weight of the squared difference of the outlines, beside nats


@dataclass(frozen=True)
class Information:
    """The normal equations of one direction under an affine; `minimize` takes it as it takes a `Linearization`.

    Parameters
    ----------
    normal : (12, 12) float64
        Approximation of the Hessian of the cost.
    rhs : (12,) float64
        Minus the gradient of the cost.
    nats : float
        Mutual information of the samples inside the other image.
    outline_error : float
        Mean squared difference of the outlines there.
    overlap : float
        Fraction of the samples that lie inside the other image.
    """

    normal: Array
    rhs: Array
    nats: float
    outline_error: float
    overlap: float

    @property
    def cross(self) -> Array:
        """The same Hessian: there is no second estimate of it."""
        return self.normal

    @property
    def correlation(self) -> float:
        """Not measured."""
        return float("nan")

    @property
    def scale(self) -> float:
        """Of the cost, which needs none."""
        return 1.0

    def cost(self, scale: float = 1.0) -> float:
        """Return the cost; samples outside the other image share no information, and count as equal outlines."""
        return self.overlap * (OUTLINE / 2 * self.outline_error - self.nats)


def inform(
    samples: Samples, other: PyramidLevel, own_to_other: Matrix, own_to_step: Matrix, sign: float
) -> Information:
    """Compare the samples of one object with the other; arguments as those of `linearize`."""
    own, level = cast(ObjectSamples, samples), cast(ObjectLevel, other)
    to_other = own_to_other @ own.to_lps
    theirs, gradient = level.values_and_gradient_at(own.points, to_other)
    ok = np.isfinite(theirs)
    count = len(ok)
    overlap = float(ok.mean()) if count else 0.0
    if int(ok.sum()) < MIN_SAMPLES:
        return Information(np.zeros((12, 12)), np.zeros(12), 0.0, 0.0, overlap)
    at = transform(own_to_step @ own.to_lps, own.points[:, ok])
    to_step = np.float32(sign) * invert(own_to_step)[:3, :3].T.astype(np.float32)
    bins = np.rint(own.values[ok] * (BINS - 1)).astype(np.intp)
    nats, slope = _information(bins, theirs[ok])
    shared = jacobian((to_step @ gradient[:, ok]) * slope, at)
    normal, rhs, outline_error = (shared @ shared.T) / FISHER, shared.sum(1), 0.0
    if own.outlines is not None:
        outline, outline_gradient = level.outline_level.values_and_gradient_at(own.points[:, ok], to_other)
        edges = jacobian(to_step @ outline_gradient, at)
        away = own.outlines[ok] - outline
        normal, rhs = normal + OUTLINE * (edges @ edges.T), rhs + OUTLINE * (edges @ away)
        outline_error = float(np.square(away).mean())
    return Information(normal.astype(float) / count, rhs.astype(float) / count, nats, outline_error, overlap)


def _information(own: Array, theirs: Array) -> tuple[float, Array]:
    """Return the mutual information, nats, and the derivative of each sample's share of it.

    Parameters
    ----------
    own : (n,) intp
        Bins, 0 to `BINS` - 1.
    theirs : (n,) float32
        0 to 1.

    Returns
    -------
    nats : float
    slope : (n,) float32
        By `theirs`. The mean of its products with a change of `theirs` is the change of the mutual information.
    """
    place = theirs * np.float32(BINS - 1)
    low = np.clip(np.floor(place), 0, BINS - 2).astype(np.intp)
    weights, slopes = _window(place - low)
    width = BINS + 2  # the windows reach one bin beyond both ends
    flat = own * width + low
    joint = np.zeros(BINS * width)
    for k in range(4):
        joint += np.bincount(flat + k, weights[k], joint.size)
    joint = joint.reshape(BINS, width) / len(own)
    own_share, other_share = joint.sum(1), joint.sum(0)
    given = np.where(joint > LEAST, np.log(np.maximum(joint, LEAST) / np.maximum(other_share, LEAST)), 0)
    nats = float((joint * given).sum() - (own_share * np.log(np.maximum(own_share, LEAST))).sum())
    table = given.ravel()
    slope = sum(slopes[k] * table[flat + k] for k in range(4)) * (BINS - 1)
    return nats, np.asarray(slope, np.float32)


def _window(part: Array) -> tuple[Array, Array]:
    """Return the cubic B-spline at the bins -1, 0, 1, 2 from a fraction of a bin, and its derivative: (4, n) each."""
    p, q = part, 1 - part
    weights = np.stack([q**3 / 6, 2 / 3 - p**2 * (2 - p) / 2, 2 / 3 - q**2 * (2 - q) / 2, p**3 / 6])
    slopes = np.stack([-(q**2) / 2, 1.5 * p**2 - 2 * p, 2 * q - 1.5 * q**2, p**2 / 2])
    return weights, slopes
