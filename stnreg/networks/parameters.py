"""From the raw outputs of a network to `theta`: the heads.

`affine` takes the matrix from the network directly. `separate` builds it from bounded shear, scale, rotation and
translation about the centre of the cube, so that no image can collapse to a point. `rigid` has rotation and translation
alone. Raw zeros give the identity in all.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stnreg.networks.spatial_transformer import identity_theta

HEADS = ("affine", "separate", "rigid")
PUBLISHED_HEADS = HEADS[:2]
RAW_COUNT = 12  # every head has twelve inputs; `rigid` uses the last six
ORDER = ("shear", "scale", "rotation", "translation")  # as they act on a point: T R S H
RIGID = ("rotation", "translation")


@dataclass(frozen=True)
class Bounds:
    """Bounds of the `separate` head.

    Attributes
    ----------
    shear : float
        Largest entry of H above its diagonal; dimensionless.
    scale : float
        Largest factor along an axis; 1 / scale is the smallest.
    rotation_deg : float
        Largest angle about one axis.
    translation : float
        In normalised units: 1 is half the cube's edge.
    """

    shear: float = 0.3
    scale: float = 1.6
    rotation_deg: float = 75.0
    translation: float = 0.6


def affine_theta(raw: Tensor) -> Tensor:
    """Add `raw` (N, 12) to the 3x4 identity: theta (N, 3, 4) float32."""
    return identity_theta(raw.shape[0], like=raw) + raw.float().reshape(-1, 3, 4)


def separate_theta(raw: Tensor, bounds: Bounds, order: tuple[str, ...] = ORDER) -> Tensor:
    """Bound `raw` (N, 12) as shear, scale, rotation, translation of three each, and compose theta (N, 3, 4).

    Parameters
    ----------
    raw : (N, 12)
        Three values each for shear, scale, rotation, translation, unbounded.
    bounds : Bounds
        Limits of each, reached at tanh = 1.
    order : tuple of str
        Transformations to use, first-applied first.
    """
    with torch.autocast(raw.device.type, enabled=False):
        bounded = torch.tanh(raw.float())
        return theta_from_parts(
            shear=bounded[:, 0:3] * bounds.shear,
            scale=torch.exp(bounded[:, 3:6] * math.log(bounds.scale)),
            rotation_rad=bounded[:, 6:9] * math.radians(bounds.rotation_deg),
            translation=bounded[:, 9:12] * bounds.translation,
            order=order,
        )


def theta_of(head: str, raw: Tensor, bounds: Bounds, order: tuple[str, ...] = ORDER) -> Tensor:
    """Return theta (N, 3, 4) float32 of `raw` (N, 12), by the name of the head."""
    if head == "affine":
        return affine_theta(raw)
    return separate_theta(raw, bounds, RIGID if head == "rigid" else order)


def carry_raw(old: tuple[str, Bounds, tuple[str, ...]], new: tuple[str, Bounds, tuple[str, ...]]) -> Tensor:
    """Return the matrix (12, 12) that converts raw outputs of one head to those of another, to first order.

    Near the identity both heads then give the same theta, so that a network can be initialised with the weights of the
    other head.

    Parameters
    ----------
    old, new : (head, bounds, order)
        As `PairArchitecture` has them.
    """
    return torch.linalg.pinv(raw_to_theta(*new)) @ raw_to_theta(*old)


def raw_to_theta(head: str, bounds: Bounds, order: tuple[str, ...]) -> Tensor:
    """Return the Jacobian (12, 12) of theta by the raw outputs, at zero."""

    def flat(raw: Tensor) -> Tensor:
        return theta_of(head, raw[None], bounds, order).flatten()

    return torch.autograd.functional.jacobian(flat, torch.zeros(RAW_COUNT))


def theta_from_parts(
    *,
    shear: Tensor,
    scale: Tensor,
    rotation_rad: Tensor,
    translation: Tensor,
    order: tuple[str, ...] = ORDER,
) -> Tensor:
    """Compose shear, scale, rotation and translation, (N, 3) each, about the cube's centre.

    In the default order x_moving = T R S H x_fixed, R = Rz Ry Rx, in the isotropic cube. The parameters are those of
    the command line, the translation in half-edges of the cube.

    Returns
    -------
    theta : (N, 3, 4) float32
    """
    matrices = {
        "shear": lambda: shear_matrix(shear),
        "scale": lambda: torch.diag_embed(torch.cat([scale, torch.ones_like(scale[:, :1])], dim=1)),
        "rotation": lambda: rotation_matrix(rotation_rad),
        "translation": lambda: translation_matrix(translation),
    }
    product = torch.eye(4, device=shear.device).expand(shear.shape[0], 4, 4)
    for name in order:
        product = matrices[name]() @ product
    return product[:, :3]


def parameters_of_theta(theta: Tensor) -> Tensor:
    """Decompose affines into the parameters of `theta_from_parts`, in the default order T R S H.

    Parameters
    ----------
    theta : (N, 3, 4)
        Its linear part must have a positive determinant.

    Returns
    -------
    parameters : (N, 12) float32
        Shear (3), logarithm of the scale (3), rotation in rad (3), translation in half-edges of the cube (3):
        zeros for the identity. Differentiable.
    """
    with torch.autocast(theta.device.type, enabled=False):
        theta = theta.float()
        turn, upper = torch.linalg.qr(theta[:, :, :3])  # linear part = R (S H), and S H is upper triangular
        sign = torch.where(torch.diagonal(upper, dim1=1, dim2=2) < 0, -1.0, 1.0)  # LAPACK does not fix the signs
        turn, upper = turn * sign[:, None, :], upper * sign[:, :, None]
        scale = torch.diagonal(upper, dim1=1, dim2=2)
        shear = (upper / scale[:, :, None])[:, (0, 0, 1), (1, 2, 2)]
        about_x = torch.atan2(turn[:, 2, 1], turn[:, 2, 2])
        about_y = torch.asin(turn[:, 2, 0].neg().clamp(-1 + 1e-6, 1 - 1e-6))
        about_z = torch.atan2(turn[:, 1, 0], turn[:, 0, 0])
        rotation_rad = torch.stack([about_x, about_y, about_z], dim=1)
        return torch.cat([shear, torch.log(scale), rotation_rad, theta[:, :, 3]], dim=1)


def shear_matrix(shear: Tensor) -> Tensor:
    """Return H (N, 4, 4), unit upper triangular; `shear` (N, 3) holds its xy, xz and yz entries."""
    one, zero = torch.ones_like(shear[:, 0]), torch.zeros_like(shear[:, 0])
    xy, xz, yz = shear.unbind(1)
    return _matrix([one, xy, xz, zero], [zero, one, yz, zero], [zero, zero, one, zero])


def rotation_matrix(rotation_rad: Tensor) -> Tensor:
    """Return R = Rz Ry Rx (N, 4, 4) of the angles `rotation_rad` (N, 3) about x, y and z."""
    one, zero = torch.ones_like(rotation_rad[:, 0]), torch.zeros_like(rotation_rad[:, 0])
    (sx, sy, sz), (cx, cy, cz) = torch.sin(rotation_rad).unbind(1), torch.cos(rotation_rad).unbind(1)
    about_x = _matrix([one, zero, zero, zero], [zero, cx, -sx, zero], [zero, sx, cx, zero])
    about_y = _matrix([cy, zero, sy, zero], [zero, one, zero, zero], [-sy, zero, cy, zero])
    about_z = _matrix([cz, -sz, zero, zero], [sz, cz, zero, zero], [zero, zero, one, zero])
    return about_z @ about_y @ about_x


def translation_matrix(translation: Tensor) -> Tensor:
    """Return T (N, 4, 4) of `translation` (N, 3) along x, y and z, in normalised units."""
    one, zero = torch.ones_like(translation[:, 0]), torch.zeros_like(translation[:, 0])
    tx, ty, tz = translation.unbind(1)
    return _matrix([one, zero, zero, tx], [zero, one, zero, ty], [zero, zero, one, tz])


def _matrix(*rows: list[Tensor]) -> Tensor:
    """Stack three rows of four (N,) entries, and (0, 0, 0, 1), to (N, 4, 4)."""
    one, zero = torch.ones_like(rows[0][0]), torch.zeros_like(rows[0][0])
    return torch.stack([torch.stack(row, dim=1) for row in (*rows, [zero, zero, zero, one])], dim=1)
