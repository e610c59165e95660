"""Bring the transforms of all pairs into agreement, and put the visits into a mean space."""

from collections.abc import Mapping, Sequence

import numpy as np

from stnreg.errors import GeometryError
from stnreg.geometry.affine import apply_affine, compose, invert, nearest_dof
from stnreg.geometry.lie import exp_affine, geodesic_mean, log_affine
from stnreg.geometry.matrix import Matrix, Points

Edges = Mapping[tuple[int, int], Matrix]
MAX_STEPS = 30
STOP = 1e-10


def agreeing_maps(edges: Edges, weights: Mapping[tuple[int, int], float], count: int) -> list[Matrix]:
    """Fit one map for each visit to the maps between pairs, by weighted least squares on the Lie algebra.

    Sought are C_i from a common space to each visit. Pair (i, j) leaves the residual R_ij = log(C_j^-1 T_ij C_i); the
    weighted sum of its squares is minimised by Gauss-Newton. With C_i exp(d_i) in place of C_i the residual is
    R_ij + d_i - d_j to first order, so each step solves one Laplacian system for all twelve entries. The common space
    is free; it is fixed by sum d_i = 0, from the first visit's space as the start.

    Parameters
    ----------
    edges : mapping of (i, j) to (4, 4) float64
        From visit i to visit j, LPS mm; they must connect all visits.
    weights : mapping of (i, j) to float
        Positive: inverse variances, in any unit.
    count : int
        Number of visits.

    Returns
    -------
    common_to_visit : list of (4, 4) float64

    Raises
    ------
    GeometryError
        If the pairs do not connect all visits.

    References
    ----------
    Govindu, "Lie-algebraic averaging for globally consistent motion estimation", CVPR 2004.
    """
    maps = _spanning_maps(edges, weights, count)
    laplacian = np.zeros((count, count))
    for (i, j), weight in weights.items():
        laplacian[np.ix_([i, j], [i, j])] += weight * np.array([[1.0, -1.0], [-1.0, 1.0]])
    solve = np.linalg.pinv(laplacian, rcond=1e-12)
    for _ in range(MAX_STEPS):
        sums = np.zeros((count, 4, 4))
        for (i, j), i_to_j in edges.items():
            residual = weights[i, j] * log_affine(compose(invert(maps[j]), i_to_j, maps[i]))
            sums[i] -= residual
            sums[j] += residual
        steps = np.tensordot(solve, sums, 1)
        maps = [compose(one, exp_affine(step)) for one, step in zip(maps, steps, strict=True)]
        if np.abs(steps).max() < STOP:
            break
    return maps


def residuals_mm(edges: Edges, maps: Sequence[Matrix], points: Points) -> dict[tuple[int, int], float]:
    """Return how far each pair's map is from the agreed one: root mean square over points of the common space, mm."""
    found = {}
    for (i, j), i_to_j in edges.items():
        off = (compose(invert(maps[j]), i_to_j, maps[i]) - np.eye(4))[:3]
        found[i, j] = float(np.sqrt(((points @ off[:, :3].T + off[:, 3]) ** 2).sum(1).mean()))
    return found


def mean_space(common_to_visit: Sequence[Matrix], upright_to_visit: Sequence[Matrix]) -> list[Matrix]:
    """Return the maps from the mean space to each visit.

    The mean space is upright, and the visits deviate from it evenly: it is the geodesic mean of the upright poses of
    all visits, as seen from the common space. So no visit's rotation, place, size or shape is preferred.

    Parameters
    ----------
    common_to_visit : sequence of (4, 4) float64
        In agreement, LPS mm.
    upright_to_visit : sequence of (4, 4) float64
        The pose of the head in each visit, rigid; one head, so that they agree to a few degrees.
    """
    poses = [compose(invert(c), pose) for c, pose in zip(common_to_visit, upright_to_visit, strict=True)]
    to_common = geodesic_mean(poses)
    return [compose(one, to_common) for one in common_to_visit]


def recentred(maps: Sequence[Matrix], before: Sequence[Matrix]) -> list[Matrix]:
    """Return maps to visits in the space in which those of `before` are their mean: nothing drifts as they improve."""
    drift = geodesic_mean([compose(invert(b), a) for a, b in zip(maps, before, strict=True)])
    return [compose(one, invert(drift)) for one in maps]


def reduced(space_to_visit: Matrix, center_lps: Points, dof: int) -> Matrix:
    """Reduce a map to 6, 7 or 9 degrees of freedom; with 9 the scales lie along the axes of the visit's scanner."""
    if dof != 9:
        return nearest_dof(space_to_visit, center_lps, dof)
    return invert(nearest_dof(invert(space_to_visit), apply_affine(space_to_visit, center_lps), 9))


def _spanning_maps(edges: Edges, weights: Mapping[tuple[int, int], float], count: int) -> list[Matrix]:
    """Follow the pairs with the largest weights from the first visit to all others."""
    known: dict[int, Matrix] = {0: np.eye(4)}
    while len(known) < count:
        leads = [pair for pair in edges if (pair[0] in known) != (pair[1] in known)]
        if not leads:
            raise GeometryError("the pairs do not connect all visits")
        i, j = max(leads, key=lambda pair: (weights[pair], pair))
        if i in known:
            known[j] = compose(edges[i, j], known[i])
        else:
            known[i] = compose(invert(edges[i, j]), known[j])
    return [known[k] for k in range(count)]
