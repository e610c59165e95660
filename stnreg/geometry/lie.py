"""Logarithm, exponential and mean of affine maps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from stnreg.errors import GeometryError
from stnreg.geometry.matrix import Matrix, check_affine


def exp_affine(generator: ArrayLike) -> Matrix:
    """Exponentiate a (4, 4) generator, whose last row is zero, to the affine that it generates.

    Scaling and squaring with a Taylor series; exact to rounding for all transforms of images.

    Examples
    --------
    >>> generator = np.zeros((4, 4))
    >>> generator[0, 0] = np.log(2)
    >>> round(float(exp_affine(generator)[0, 0]), 12)
    2.0
    """
    matrix = np.asarray(generator, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or matrix[3].any():
        raise GeometryError(f"expected a finite (4, 4) generator with a last row of zeros, got {matrix.tolist()}")
    # The 3x3 part alone determines the convergence of the series.
    size = float(np.linalg.norm(matrix[:3, :3]))
    squarings = max(0, int(np.ceil(np.log2(max(size, 1e-9)))) + 2)
    step = matrix / 2.0**squarings
    term = result = np.eye(4)
    for order in range(1, 16):
        term = term @ step / order
        result = result + term
    for _ in range(squarings):
        result = result @ result
    result[3] = (0.0, 0.0, 0.0, 1.0)
    return result


def log_affine(a_to_b: ArrayLike) -> Matrix:
    """Take the principal logarithm of an affine: the (4, 4) generator with `exp_affine(generator) == a_to_b`.

    Inverse scaling and squaring: square roots until the matrix is close to the identity, then a series.

    Raises
    ------
    GeometryError
        If there is no real principal logarithm: a reflection, or a rotation by exactly 180 degrees.

    References
    ----------
    Arsigny et al., "A fast and log-Euclidean polyaffine framework", JMIV 2009, section 2.
    """
    root = check_affine(a_to_b)
    eigenvalues = np.linalg.eigvals(root[:3, :3])
    if (np.abs(np.angle(eigenvalues)) > np.pi - 1e-6).any() or np.abs(eigenvalues).min() == 0:
        raise GeometryError(f"no real logarithm: a reflection or a turn by 180 degrees, {root.tolist()}")
    roots_taken = 0
    while np.linalg.norm(root[:3, :3] - np.eye(3)) > 0.2:
        root = _square_root(root)
        roots_taken += 1
    # log(A) = 2 artanh((A - 1)(A + 1)^-1): odd powers of a small matrix
    ratio = np.linalg.solve(root + np.eye(4), root - np.eye(4))
    square, power, generator = ratio @ ratio, ratio, np.zeros((4, 4))
    for order in range(1, 18, 2):
        generator = generator + power / order
        power = power @ square
    generator *= 2.0 ** (roots_taken + 1)
    generator[3] = 0.0
    return generator


def geodesic_mean(matrices: Sequence[ArrayLike], weights: ArrayLike | None = None) -> Matrix:
    """Average affine maps in their group: the mean of inverses is the inverse of the mean.

    Parameters
    ----------
    matrices : sequence of (4, 4) float64
        Maps between the same two spaces.
    weights : (N,) float, optional
        Non-negative; equal by default.

    Returns
    -------
    mean : (4, 4) float64
        The map whose logarithms to all others sum to zero; for two maps, the midpoint of the geodesic.

    References
    ----------
    Pennec and Arsigny, "Exponential barycenters of the canonical Cartan connection", 2012.
    """
    maps = [check_affine(matrix) for matrix in matrices]
    share = np.ones(len(maps)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not maps or share.shape != (len(maps),) or (share < 0).any() or share.sum() == 0:
        raise GeometryError(f"expected one non-negative weight for each of {len(maps)} matrices, got {share}")
    share = share / share.sum()
    mean = maps[int(np.argmax(share))]
    for _ in range(30):
        step = sum(w * log_affine(np.linalg.solve(mean, matrix)) for w, matrix in zip(share, maps, strict=True))
        mean = mean @ exp_affine(step)
        if np.abs(step).max() < 1e-12:
            break
    return mean


def _square_root(matrix: Matrix) -> Matrix:
    """Take the principal square root by the product form of the Denman-Beavers iteration."""
    root, product = matrix, matrix
    for _ in range(50):
        inverse = np.linalg.inv(product)
        root = root @ (np.eye(4) + inverse) / 2
        product = (np.eye(4) + (product + inverse) / 2) / 2
        if np.abs(product - np.eye(4)).max() < 1e-15 * max(1.0, np.abs(matrix).max()):
            break
    return root
