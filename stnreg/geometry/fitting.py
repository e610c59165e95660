"""Closed-form least-squares fits of corresponding points: similarity and affine, weighted. Numpy only."""

import numpy as np

Array = np.ndarray


def fit_similarity(a_points: Array, b_points: Array, weights: Array | None = None, *, scale: bool = True) -> Array:
    """Fit the similarity (7 dof) or rigid (6 dof) transform from `a_points` to `b_points`.

    The scale is Horn's symmetric one (ratio of spreads), so exchanging the points gives the exact inverse.

    Parameters
    ----------
    a_points, b_points : (N, 3) float64
        Corresponding points, mm, each in its own space.
    weights : (N,) float64, optional
        Non-negative; equal by default.
    scale : bool
        Whether the isotropic scale is estimated; 1 otherwise.

    Returns
    -------
    a_to_b : (4, 4) float64
        A proper rotation (determinant +1) times a scale, and a translation.

    References
    ----------
    Horn, "Closed-form solution of absolute orientation using unit quaternions", JOSA A 1987, section 2.D;
    Umeyama, IEEE PAMI 1991, for the guard against reflections.

    Examples
    --------
    >>> points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    >>> fit_similarity(points, 2 * points + 1).round(6)[0]
    array([2., 0., 0., 1.])
    """
    w = np.ones(len(a_points)) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    a_mean, b_mean = w @ a_points, w @ b_points
    a, b = a_points - a_mean, b_points - b_mean
    u, _, vt = np.linalg.svd((b * w[:, None]).T @ a)
    fix = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ fix @ vt
    factor = np.sqrt((w @ (b**2).sum(1)) / (w @ (a**2).sum(1))) if scale else 1.0
    a_to_b = np.eye(4)
    a_to_b[:3, :3] = factor * rotation
    a_to_b[:3, 3] = b_mean - a_to_b[:3, :3] @ a_mean
    return a_to_b


def fit_affine(a_points: Array, b_points: Array, weights: Array | None = None, *, ridge: float = 0.0) -> Array:
    """Fit the affine (12 dof) least-squares transform from `a_points` to `b_points`.

    Residuals are in b's space, so this is not symmetric: see `stnreg.geometry.lie.geodesic_mean`.

    Parameters
    ----------
    a_points, b_points : (N, 3) float64
        Corresponding points, mm.
    weights : (N,) float64, optional
        Non-negative; equal by default.
    ridge : float
        Regularization towards the similarity fit, relative to the mean spread of the points; 0 for least squares.

    Returns
    -------
    a_to_b : (4, 4) float64
    """
    w = np.ones(len(a_points)) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    a_mean, b_mean = w @ a_points, w @ b_points
    a, b = a_points - a_mean, b_points - b_mean
    moment = (a * w[:, None]).T @ a
    cross = (b * w[:, None]).T @ a
    if ridge:
        prior = fit_similarity(a_points, b_points, weights)[:3, :3]
        pull = ridge * np.trace(moment) / 3
        moment = moment + pull * np.eye(3)
        cross = cross + pull * prior
    a_to_b = np.eye(4)
    a_to_b[:3, :3] = np.linalg.solve(moment.T, cross.T).T
    a_to_b[:3, 3] = b_mean - a_to_b[:3, :3] @ a_mean
    return a_to_b
