"""What a transform of few degrees of freedom leaves between two heads: the difference of their size and shape."""

import numpy as np

from stnreg.errors import GeometryError
from stnreg.geometry.affine import apply_affine, compose, exp_affine, invert, log_affine, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import fit_pair


def completed(fixed: Encoding, moving: Encoding, fixed_to_moving: Matrix, dof: int) -> Matrix:
    """Add the size and the shape that a transform of `dof` degrees of freedom cannot change.

    The affine A through the structures of both images is some N of `dof` degrees of freedom and a remainder: A = N B in
    fixed space, A = C N in moving space. N is the nearest to A about the middle of both brains. The remainder is of
    the two heads, not of the transform to be assessed. Half of it is added on either side, C^1/2 T B^1/2: with the
    images exchanged it is the inverse (but for 9 degrees of freedom, which scale along the axes of the fixed image).
    N itself becomes A, and a T that is off from N stays as far off from A.

    Parameters
    ----------
    fixed, moving : Encoding
    fixed_to_moving : (4, 4) float64
        T, LPS mm.
    dof : int
        6, 7, 9 or 12.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        LPS mm; T itself for 12 degrees of freedom, and where the structures determine no affine.
    """
    if dof == 12:
        return fixed_to_moving
    try:
        affine = fit_pair(fixed, moving)
        nearest = nearest_dof(affine, _middle(fixed, moving, affine), dof)
        before, after = (_square_root(m) for m in (invert(nearest) @ affine, affine @ invert(nearest)))
    except (GeometryError, np.linalg.LinAlgError):
        return fixed_to_moving
    return compose(after, fixed_to_moving, before)


def _middle(fixed: Encoding, moving: Encoding, fixed_to_moving: Matrix) -> np.ndarray:
    """Return the fixed point half-way between the middles of both brains, LPS mm; the same place from either side."""
    theirs = apply_affine(invert(fixed_to_moving), moving.template_to_lps[:3, 3])
    return (fixed.template_to_lps[:3, 3] + theirs) / 2


def _square_root(matrix: Matrix) -> Matrix:
    return exp_affine(log_affine(matrix) / 2)
