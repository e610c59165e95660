"""Registration losses: functions of tensors, lower is better."""

import torch
from torch import Tensor

from stnreg.networks.parameters import parameters_of_theta
from stnreg.networks.spatial_transformer import compose_theta, identity_theta, transform_points


def mse(moved: Tensor, fixed: Tensor) -> Tensor:
    """Mean squared difference over the whole fixed grid, as a scalar.

    Voxels outside the moved image are zero. A mean over the overlap only would be minimal if the moving image shrinks
    to a point.
    """
    return (moved.float() - fixed.float()).square().mean()


def grid_point_error(theta: Tensor, truth: Tensor, points: Tensor) -> Tensor:
    """Mean distance of fixed points under two transforms, (N,), in normalised units.

    Parameters
    ----------
    theta, truth : (N, 3, 4)
        Estimated and true transform, fixed to moving.
    points : (P, 3)
        Fixed points (x, y, z) in the [-1, 1] cube.
    """
    difference = transform_points(theta, points) - transform_points(truth, points)
    # The gradient of the root is infinite at 0; a thousandth of a voxel keeps the first step finite.
    return (difference.square().sum(dim=-1) + 1e-10).sqrt().mean(dim=-1)


def parameter_error(theta: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of the twelve parameters, (N,), as in supervised regression networks.

    Shear, logarithm of scale, rotation in rad and translation in half-edges of the cube have equal weights.

    Parameters
    ----------
    theta, truth : (N, 3, 4)
        Estimated and true transform, fixed to moving.
    """
    return (parameters_of_theta(theta) - parameters_of_theta(truth)).square().mean(dim=1)


def inverse_consistency(forward: Tensor, backward: Tensor, points: Tensor) -> Tensor:
    """Mean distance of points from themselves after `forward` and `backward`, (N,), normalised units.

    Parameters
    ----------
    forward, backward : (N, 3, 4)
        Fixed to moving, and the estimate for the images exchanged.
    points : (P, 3)
        Fixed points (x, y, z) in the [-1, 1] cube.
    """
    there_and_back = compose_theta(backward, forward)
    return grid_point_error(there_and_back, identity_theta(len(forward), like=forward), points)


def lattice_points(count: int = 5, extent: float = 0.7, *, like: Tensor | None = None) -> Tensor:
    """Return a regular lattice of count^3 points (P, 3) within +-extent, the region of a centred head."""
    axis = torch.linspace(-extent, extent, count, device=None if like is None else like.device)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
