"""ITK's linear transform classes, from their parameters to y = A (x - c) + t + c.

Implemented here because ITK does not check the number of parameters: a text file with too few crashes the process.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import axis_rotations
from stnreg.geometry.matrix import Matrix

Array = NDArray[np.float64]
Parts = tuple[Array, Array]  # A (3, 3), t (3,)
NOWHERE = np.zeros(3)


def matrix_of(kind: str, parameters: Array, fixed: Array) -> Matrix:
    """Return the (4, 4) of one transform of a class in `COUNTS`.

    Parameters
    ----------
    kind : str
        ITK's name, without the number type and the dimensions.
    parameters : (N,) float64
        N is `COUNTS[kind]`.
    fixed : (0,), (3,) or (4,) float64
        The centre, mm; for Euler3DTransform also whether the rotation is Rz Ry Rx.
    """
    if kind == "Euler3DTransform":
        linear, translation = _euler(parameters, len(fixed) > 3 and fixed[3] != 0)
    else:
        linear, translation = _CLASSES[kind][1](parameters)
    center = fixed[:3] if len(fixed) >= 3 else NOWHERE
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = translation + center - linear @ center
    return matrix


def _euler(p: Array, is_zyx: bool) -> Parts:
    about_x, about_y, about_z = axis_rotations(p[:3])
    return about_z @ (about_y @ about_x if is_zyx else about_x @ about_y), p[3:]


def _quaternion(x: float, y: float, z: float, w: float) -> Array:
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )


def _versor(vector: Array) -> Array:
    """Return the rotation of a versor's vector part; its length is clipped to just below one, as in ITK."""
    length = float(np.linalg.norm(vector))
    x, y, z = vector / (length * (1 + 1e-10)) if length >= 1 - 1e-10 else vector
    return _quaternion(x, y, z, np.sqrt(max(1 - (x * x + y * y + z * z), 0.0)))


def _skew(entries: Array) -> Array:
    """Return six entries off the diagonal, row by row."""
    a, b, c, d, e, f = entries
    return np.array([[0, a, b], [c, 0, d], [e, f, 0]])


def _compose_scale_skew(p: Array) -> Parts:
    xy, xz, yz = p[9:]
    shear = np.array([[1, xy, xz], [0, 1, yz], [0, 0, 1]])
    return _versor(p[:3]) @ np.diag(p[6:9]) @ shear, p[3:6]


def _affine(p: Array) -> Parts:
    return p[:9].reshape(3, 3), p[9:]


_CLASSES: Mapping[str, tuple[int, Callable[[Array], Parts]]] = MappingProxyType(
    {
        "AffineTransform": (12, _affine),
        "MatrixOffsetTransformBase": (12, _affine),
        "Rigid3DTransform": (12, _affine),
        "IdentityTransform": (0, lambda p: (np.eye(3), NOWHERE)),
        "TranslationTransform": (3, lambda p: (np.eye(3), p)),
        "ScaleTransform": (3, lambda p: (np.diag(p), NOWHERE)),
        "ScaleLogarithmicTransform": (3, lambda p: (np.diag(np.exp(p)), NOWHERE)),
        "Euler3DTransform": (6, lambda p: _euler(p, False)),
        "QuaternionRigidTransform": (7, lambda p: (_quaternion(*p[:4]), p[4:])),
        "VersorTransform": (3, lambda p: (_versor(p), NOWHERE)),
        "VersorRigid3DTransform": (6, lambda p: (_versor(p[:3]), p[3:])),
        "Similarity3DTransform": (7, lambda p: (p[6] * _versor(p[:3]), p[3:6])),
        # These two add to the rotation instead of multiplying, as in ITK.
        "ScaleVersor3DTransform": (9, lambda p: (_versor(p[:3]) + np.diag(p[6:9] - 1), p[3:6])),
        "ScaleSkewVersor3DTransform": (
            15,
            lambda p: (_versor(p[:3]) + np.diag(p[6:9] - 1) + _skew(p[9:]), p[3:6]),
        ),
        "ComposeScaleSkewVersor3DTransform": (12, _compose_scale_skew),
    }
)

COUNTS: Mapping[str, int] = MappingProxyType({kind: count for kind, (count, _) in _CLASSES.items()})
"""Number of parameters of each supported class."""
