"""Updates of an affine with 6, 7, 9 or 12 degrees of freedom: the tangent directions, and the update itself.

An update acts on fixed points before the affine does, about a centre, with lengths in units of `UNIT_MM`:
x -> x + L x + t. Its twelve parameters are the rows of the (3, 4) matrix [L t].
"""

import numpy as np

from stnreg.geometry.affine import compose
from stnreg.geometry.lie import exp_affine
from stnreg.geometry.matrix import Matrix

Array = np.ndarray
UNIT_MM = 50.0  # about the radius of a brain, so that rotations and translations weigh alike
_TURNS = np.zeros((3, 3, 3))
for _axis, (_row, _column) in enumerate(((2, 1), (0, 2), (1, 0))):
    _TURNS[_axis, _row, _column], _TURNS[_axis, _column, _row] = 1.0, -1.0


def directions(fixed_to_moving: Matrix, dof: int) -> Array:
    """Return the tangent directions of affines with `dof` degrees of freedom, (12, dof).

    Nine degrees of freedom are R S: the rotation acts after the scales S, which are the lengths of the columns.
    """
    if dof == 12:
        return np.eye(12)
    scale = np.linalg.norm(fixed_to_moving[:3, :3], axis=0) if dof == 9 else np.ones(3)
    linear = [turn * scale / scale[:, None] for turn in _TURNS]
    if dof == 7:
        linear.append(np.eye(3))
    if dof == 9:
        linear.extend(np.diag(row) for row in np.eye(3))
    columns = [np.c_[part, np.zeros(3)].ravel() for part in linear]
    columns.extend(np.c_[np.zeros((3, 3)), shift].ravel() for shift in np.eye(3))
    return np.array(columns).T


def step(fixed_to_moving: Matrix, numbers: Array, center_lps: Array, dof: int) -> Matrix:
    """Apply an update to an affine; the result has `dof` degrees of freedom again, to rounding.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        LPS mm, of at most `dof` degrees of freedom.
    numbers : (12,) float64
        Parameters of the update: a combination of `directions`.
    center_lps : (3,) float64
        Centre of the update: a fixed point, LPS mm.
    dof : int
        6, 7, 9 or 12.
    """
    small = np.zeros((4, 4))
    small[:3] = np.reshape(numbers, (3, 4))
    small[:3, 3] *= UNIT_MM
    about, back = np.eye(4), np.eye(4)
    about[:3, 3], back[:3, 3] = center_lps, -np.asarray(center_lps)
    if dof != 9:
        return compose(fixed_to_moving, about, exp_affine(small), back)
    # R S exp(...) has nine degrees of freedom to first order only: update R and S separately.
    scale = np.linalg.norm(fixed_to_moving[:3, :3], axis=0)
    inner = small[:3, :3] * scale[:, None] / scale
    turn, stretch = np.zeros((4, 4)), np.exp(np.diag(small[:3, :3]))
    turn[:3, :3] = (inner - inner.T) / 2
    out = np.eye(4)
    out[:3, :3] = (fixed_to_moving[:3, :3] / scale) @ exp_affine(turn)[:3, :3] * (scale * stretch)
    moved = fixed_to_moving[:3, :3] @ (center_lps + small[:3, 3]) + fixed_to_moving[:3, 3]
    out[:3, 3] = moved - out[:3, :3] @ center_lps
    return out


def supported_dof(wanted: int, thinnest_mm: float, volume_ml: float) -> int:
    """Return the most degrees of freedom, up to `wanted`, that an overlap can determine.

    Parameters
    ----------
    wanted : int
        6, 7, 9 or 12.
    thinnest_mm : float
        Standard deviation of the overlap along its thinnest axis: 30 and more for a brain, 9 for a slab of 44 mm.
    volume_ml : float
        Volume of the overlap; 1200 for a whole brain.
    """
    if thinnest_mm >= 8.0 and volume_ml >= 150.0:
        return wanted
    return min(wanted, 7 if thinnest_mm >= 3.0 and volume_ml >= 50.0 else 6)
