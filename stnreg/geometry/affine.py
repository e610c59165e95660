"""Affine maps of points: apply, compose, decompose, reduce to fewer degrees of freedom, compare in mm."""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from stnreg.errors import GeometryError
from stnreg.geometry.grid import Grid
from stnreg.geometry.lie import exp_affine, geodesic_mean, log_affine
from stnreg.geometry.matrix import Matrix, Points, check_affine

__all__ = [
    "Matrix",
    "Parameters",
    "Points",
    "apply_affine",
    "check_affine",
    "compose",
    "corner_error_mm",
    "exp_affine",
    "from_parameters",
    "geodesic_mean",
    "invert",
    "log_affine",
    "mean_error_mm",
    "nearest_dof",
    "random_affine",
    "to_parameters",
]

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Parameters:
    """Twelve numbers of x_moving = T R S H (x_fixed - c) + c, each triple along or about the LPS axes x, y, z.

    Attributes
    ----------
    translation_mm : (3,) float
        T, mm.
    rotation_deg : (3,) float
        R = Rz Ry Rx: angles about x, y and z, degrees.
    scale : (3,) float
        S, factors. A negative last factor is a reflection.
    shear : (3,) float
        H, unit upper triangular: its xy, xz and yz entries. Acts on a point first.
    """

    translation_mm: Triple = (0.0, 0.0, 0.0)
    rotation_deg: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (1.0, 1.0, 1.0)
    shear: Triple = (0.0, 0.0, 0.0)


def apply_affine(a_to_b: ArrayLike, points: ArrayLike) -> Points:
    """Map points of space a to space b.

    Parameters
    ----------
    a_to_b : (4, 4) float64
        The map.
    points : (..., 3) float
        Points (x, y, z) of space a.

    Returns
    -------
    points : (..., 3) float64
        The same points in space b.

    Examples
    --------
    >>> apply_affine(np.diag([2.0, 1, 1, 1]), [[1, 2, 3]])
    array([[2., 2., 3.]])
    """
    matrix = check_affine(a_to_b)
    return np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]


def invert(a_to_b: ArrayLike) -> Matrix:
    """Return `b_to_a`; GeometryError where the matrix is singular."""
    matrix = check_affine(a_to_b)
    singular_values = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if singular_values[2] <= 1e-12 * singular_values[0]:
        raise GeometryError(f"expected an invertible matrix, got {matrix.tolist()}")
    inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    inverse[3] = (0.0, 0.0, 0.0, 1.0)
    return inverse


def compose(*outermost_first: ArrayLike) -> Matrix:
    """Multiply matrices in the given order: the last one acts on points first. The identity without arguments."""
    return reduce(np.matmul, [check_affine(matrix) for matrix in outermost_first], np.eye(4))


def from_parameters(parameters: Parameters, center_lps: ArrayLike) -> Matrix:
    """Compose `fixed_to_moving` from its parameters about the fixed centre.

    Parameters
    ----------
    parameters : Parameters
        See there for the order.
    center_lps : (3,) float
        The fixed centre c, LPS mm.

    Returns
    -------
    fixed_to_moving : (4, 4) float64

    Examples
    --------
    >>> turn = Parameters(rotation_deg=(0, 0, 90), translation_mm=(0, 0, 5))
    >>> apply_affine(from_parameters(turn, (0, 0, 0)), (1, 0, 0)).round(9)
    array([0., 1., 5.])
    """
    xy, xz, yz = parameters.shear
    shear = np.array([[1.0, xy, xz], [0.0, 1.0, yz], [0.0, 0.0, 1.0]])
    linear = _rotation(parameters.rotation_deg) @ np.diag(parameters.scale) @ shear
    return _about(linear, np.asarray(parameters.translation_mm, dtype=np.float64), center_lps)


def to_parameters(fixed_to_moving: ArrayLike, center_lps: ArrayLike) -> Parameters:
    """Decompose `fixed_to_moving` about the fixed centre; the inverse of `from_parameters`.

    The angle about y is within 90 degrees and the first two scales are positive, so the result is unique. At gimbal
    lock the angle about x is set to zero.

    Raises
    ------
    GeometryError
        If the matrix is not affine, or is singular.
    """
    matrix = check_affine(fixed_to_moving)
    rotation, upper = np.linalg.qr(matrix[:3, :3])  # R, and S H
    if np.abs(np.diag(upper)).min() <= 1e-12 * np.abs(upper).max():
        raise GeometryError(f"expected an invertible matrix, got {matrix.tolist()}")
    signs = np.sign(np.diag(upper))
    signs[2] = np.linalg.det(rotation) * signs[0] * signs[1]  # R stays proper; a reflection is in the z scale
    rotation, upper = rotation * signs, upper * signs[:, None]
    scale = np.diag(upper)
    center = np.asarray(center_lps, dtype=np.float64)
    return Parameters(
        translation_mm=_triple(apply_affine(matrix, center) - center),
        rotation_deg=_triple(np.degrees(_angles(rotation))),
        scale=_triple(scale),
        shear=_triple(np.array([upper[0, 1], upper[0, 2], upper[1, 2]]) / scale[[0, 0, 1]]),
    )


def axis_rotations(angles_rad: ArrayLike) -> tuple[Matrix, Matrix, Matrix]:
    """Return the rotations about x, y and z by three angles in rad: (3, 3) each."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles_rad), np.cos(angles_rad)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x, about_y, about_z


def nearest_dof(fixed_to_moving: ArrayLike, center_lps: ArrayLike, dof: int) -> Matrix:
    """Reduce an affine to 6, 7 or 9 degrees of freedom; the image of the fixed centre does not change.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        The affine, LPS mm.
    center_lps : (3,) float
        The fixed centre, LPS mm.
    dof : int
        6 rigid; 7 with one scale (the cube root of the volume change, so the inverse has the inverse scale);
        9 with a scale along each LPS axis of the fixed image, least squares; 12 returns the matrix.

    Raises
    ------
    GeometryError
        If `dof` is none of these, or the matrix is a reflection or is singular.
    """
    matrix = check_affine(fixed_to_moving)
    if dof not in (6, 7, 9, 12):
        raise GeometryError(f"expected dof 6, 7, 9 or 12, got {dof}")
    if dof == 12:
        return matrix.copy()
    linear, volume = matrix[:3, :3], float(np.linalg.det(matrix[:3, :3]))
    if volume <= 0:
        raise GeometryError(f"a reflection or a flat matrix has no nearest rotation: {matrix.tolist()}")
    rotation, scale = _nearest_rotation(linear), np.ones(3)
    if dof == 7:
        scale = np.full(3, np.cbrt(volume))
    if dof == 9:
        for _ in range(500):  # alternate the two closed forms: |linear - R S| falls at every step
            before, scale = scale, np.maximum(np.diag(rotation.T @ linear), 1e-6)
            rotation = _nearest_rotation(linear * scale)
            if np.abs(scale - before).max() < 1e-13:
                break
    center = np.asarray(center_lps, dtype=np.float64)
    return _about(rotation * scale, apply_affine(matrix, center) - center, center)


def mean_error_mm(a: ArrayLike, b: ArrayLike, points: ArrayLike) -> float:
    """Mean distance of the same points (..., 3) under two maps, mm."""
    return float(np.linalg.norm(apply_affine(a, points) - apply_affine(b, points), axis=-1).mean())


def corner_error_mm(a: ArrayLike, b: ArrayLike, grid: Grid) -> float:
    """Return the largest distance, mm, between the images of a grid's eight corners under two maps.

    No point inside the grid is further off than this.
    """
    corners = grid.corners_lps()
    return float(np.linalg.norm(apply_affine(a, corners) - apply_affine(b, corners), axis=-1).max())


def random_affine(
    rng: "np.random.Generator",
    *,
    center_lps: ArrayLike = (0.0, 0.0, 0.0),
    translation_mm: float = 20.0,
    rotation_deg: float = 20.0,
    scale: float = 1.15,
    shear: float = 0.1,
) -> Matrix:
    """Draw a `fixed_to_moving` about a centre, uniform within the ranges.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random number generator.
    center_lps : (3,) float
        The fixed centre, LPS mm.
    translation_mm, rotation_deg, shear : float
        Each axis lies within plus or minus this.
    scale : float
        Each factor lies between 1 / scale and scale, uniform in its logarithm.
    """
    parameters = Parameters(
        translation_mm=_triple(rng.uniform(-translation_mm, translation_mm, 3)),
        rotation_deg=_triple(rng.uniform(-rotation_deg, rotation_deg, 3)),
        scale=_triple(np.exp(rng.uniform(-1, 1, 3) * np.log(scale))),
        shear=_triple(rng.uniform(-shear, shear, 3)),
    )
    return from_parameters(parameters, center_lps)


def _about(linear: Matrix, translation: Points, center_lps: ArrayLike) -> Matrix:
    center = np.asarray(center_lps, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = translation + center - linear @ center
    return matrix


def _nearest_rotation(linear: Matrix) -> Matrix:
    u, _, vt = np.linalg.svd(linear)
    return np.asarray(u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt)


def _rotation(angles_deg: ArrayLike) -> Matrix:
    """Return R = Rz Ry Rx, (3, 3)."""
    about_x, about_y, about_z = axis_rotations(np.radians(angles_deg))
    return np.asarray(about_z @ about_y @ about_x)


def _angles(rotation: Matrix) -> Points:
    """Return the angles (x, y, z), radians, of R = Rz Ry Rx."""
    cos_y = np.hypot(rotation[0, 0], rotation[1, 0])
    y = np.arctan2(-rotation[2, 0], cos_y)
    if cos_y < 1e-9:  # gimbal lock: only one combination of x and z is determined
        return np.array([0.0, y, np.arctan2(-rotation[0, 1], rotation[1, 1])])
    x = np.arctan2(rotation[2, 1], rotation[2, 2])
    return np.array([x, y, np.arctan2(rotation[1, 0], rotation[0, 0])])


def _triple(values: Points) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
