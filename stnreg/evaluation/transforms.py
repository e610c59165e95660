"""Errors of a transform against the true one, and its Jacobian determinant."""

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import apply_affine, to_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.base import Transform
from stnreg.transforms.sampling import slabs


def target_errors_mm(
    fixed_to_moving: NDArray, true_fixed_to_moving: NDArray, grid: Grid, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Target registration error of each fixed voxel, |T x - T_true x|.

    Parameters
    ----------
    fixed_to_moving, true_fixed_to_moving : (4, 4) float64
        Map fixed LPS points to moving LPS points, mm.
    grid : Grid
        The fixed grid.
    mask : (z, y, x) bool, optional
        Voxels to take, on `grid`; all by default.

    Returns
    -------
    errors : (N,) float64
        Millimetres, measured in moving space.

    Examples
    --------
    >>> shift = np.eye(4)
    >>> shift[:3, 3] = 3.0, 0.0, 4.0
    >>> target_errors_mm(shift, np.eye(4), Grid(size=(2, 1, 1), index_to_lps=np.eye(4)))
    array([5., 5.])
    """
    everywhere = np.ones(grid.shape, bool) if mask is None else mask
    index_zyx = np.argwhere(everywhere)
    index_to_error = (np.asarray(fixed_to_moving) - true_fixed_to_moving) @ grid.index_to_lps
    offsets = index_zyx[:, ::-1] @ index_to_error[:3, :3].T + index_to_error[:3, 3]
    return np.linalg.norm(offsets, axis=1)


def target_errors_through_mm(
    fixed_to_moving: Transform, true_fixed_to_moving: Transform, grid: Grid, mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """How far each fixed voxel lands from where it should, |T x - T_true x|, for transforms that may be non-linear.

    Parameters
    ----------
    fixed_to_moving, true_fixed_to_moving : Transform
        Fixed LPS points to moving LPS points, mm.
    grid : Grid
        The fixed grid.
    mask : (z, y, x) bool
        Voxels to take, on `grid`.

    Returns
    -------
    errors : (N,) float64
        Millimetres, measured in moving space.
    """
    found, true = fixed_to_moving.matrix, true_fixed_to_moving.matrix
    if found is not None and true is not None:
        return target_errors_mm(found, true, grid, mask)
    errors = [
        np.linalg.norm(fixed_to_moving.map_voxels(grid, s) - true_fixed_to_moving.map_voxels(grid, s), axis=0)[mask[s]]
        for s in slabs(grid)
    ]
    return np.concatenate(errors)


def parameter_errors(
    fixed_to_moving: NDArray, true_fixed_to_moving: NDArray, center_lps: NDArray
) -> dict[str, tuple[float, str]]:
    """Absolute error of each parameter, as papers on supervised regression report them.

    Both matrices are decomposed as x_moving = T R S H (x_fixed - c) + c about the fixed centre c.

    Parameters
    ----------
    fixed_to_moving, true_fixed_to_moving : (4, 4) float64
        Fixed LPS points to moving LPS points, mm.
    center_lps : (3,) float64
        Centre of the fixed grid, LPS mm.

    Returns
    -------
    errors : dict of str to (float, str)
        Absolute error and unit of `translation_x` .. `shear_yz`, their means `translation`, `rotation`, `scale`,
        `shear`, and `rotation_angle`, the one angle between the two rotations. Degrees, mm, factors.

    Raises
    ------
    GeometryError
        If a matrix is not affine, or is singular.
    """
    found, true = (to_parameters(np.asarray(m), center_lps) for m in (fixed_to_moving, true_fixed_to_moving))
    turned = np.abs(np.asarray(found.rotation_deg) - true.rotation_deg)
    differences = {
        "translation": (np.abs(np.asarray(found.translation_mm) - true.translation_mm), "xyz", "mm"),
        "rotation": (np.minimum(turned, 360 - turned), "xyz", "deg"),
        "scale": (np.abs(np.asarray(found.scale) - true.scale), "xyz", "1"),
        "shear": (np.abs(np.asarray(found.shear) - true.shear), ("xy", "xz", "yz"), "1"),
    }
    errors: dict[str, tuple[float, str]] = {}
    for name, (values, axes, unit) in differences.items():
        errors[name] = (float(values.mean()), unit)
        errors |= {f"{name}_{axis}": (float(value), unit) for axis, value in zip(axes, values, strict=True)}
    errors["rotation_angle"] = (_angle_between_deg(fixed_to_moving, true_fixed_to_moving), "deg")
    return errors


def jacobian_determinant(fixed_to_moving: NDArray) -> float:
    """Jacobian determinant: volume in moving space per volume in fixed space; negative for reflections.

    Examples
    --------
    >>> jacobian_determinant(np.diag([2.0, 1.0, 1.0, 1.0]))
    2.0
    """
    return float(np.linalg.det(np.asarray(fixed_to_moving)[:3, :3]))


def local_jacobian(
    fixed_to_moving: Transform, grid: Grid, mask: NDArray[np.bool_] | None = None
) -> dict[str, tuple[float, str]]:
    """What a non-linear transform does to volume from voxel to voxel.

    Parameters
    ----------
    fixed_to_moving : Transform
        Fixed LPS points to moving LPS points, mm.
    grid : Grid
        The fixed grid.
    mask : (z, y, x) bool, optional
        Voxels to take, on `grid`; all when left out.

    Returns
    -------
    figures : dict of str to (float, str)
        Of the determinant by central differences the `mean`, the `minimum`, and `sd_log`, the standard deviation of
        its natural logarithm where it is above 0; and `folds`, the voxels at which the map folds by the digital
        criterion of Liu et al. (2022). With their units.
    """
    field = fixed_to_moving.to_displacement(grid)
    found = field.jacobian_determinant().astype(np.float64)
    inside = found[np.ones(grid.shape, bool) if mask is None else mask]
    return {
        "mean": (float(inside.mean()), "1"),
        "sd_log": (float(np.log(inside[inside > 0]).std()) if (inside > 0).any() else float("nan"), "1"),
        "minimum": (float(inside.min()), "1"),
        "folds": (float(field.count_folds(mask).digital), "voxels"),
    }


def inverse_consistency_mm(forward: NDArray, backward: NDArray, points_lps: NDArray) -> NDArray[np.float64]:
    """Inverse consistency error: distance of each point (N, 3) from itself after both transforms, mm."""
    return np.linalg.norm(apply_affine(backward @ forward, points_lps) - points_lps, axis=1)


def _angle_between_deg(a: NDArray, b: NDArray) -> float:
    """Angle between the nearest rotations of two matrices, degrees."""
    rotations = []
    for matrix in (a, b):
        u, _, vt = np.linalg.svd(np.asarray(matrix)[:3, :3])
        rotations.append(u @ vt)
    left = rotations[0] @ rotations[1].T
    # From sine and cosine: arccos alone loses half the digits near zero.
    sine = np.linalg.norm([left[2, 1] - left[1, 2], left[0, 2] - left[2, 0], left[1, 0] - left[0, 1]]) / 2
    return float(np.degrees(np.arctan2(sine, (np.trace(left) - 1) / 2)))
