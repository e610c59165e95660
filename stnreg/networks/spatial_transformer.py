"""The spatial transformer, by `affine_grid` and `grid_sample`; and operations on `theta`.

All functions run in float32 even inside `torch.autocast`: half precision has errors of up to half a voxel at the edge
of a 64^3 cube.
"""

import torch
from torch import Tensor
from torch.nn import functional


def identity_theta(count: int, *, like: Tensor | None = None) -> Tensor:
    """Return `count` identities, (count, 3, 4), on the device of `like`."""
    device = None if like is None else like.device
    return torch.eye(3, 4, device=device).expand(count, 3, 4)


def warp(moving: Tensor, theta: Tensor, size: int | None = None) -> Tensor:
    """Warp an image by `theta`: linear interpolation, zero outside.

    Parameters
    ----------
    moving : (N, C, D, H, W)
        Image to warp, in its own [-1, 1] cube.
    theta : (N, 3, 4)
        Fixed to moving, `align_corners=False`.
    size : int, optional
        Edge of the output cube in voxels; the moving image's own shape by default.

    Returns
    -------
    moved : (N, C, size, size, size) float32
    """
    shape = moving.shape[2:] if size is None else (size, size, size)
    with torch.autocast(moving.device.type, enabled=False):
        grid = functional.affine_grid(theta.float(), [theta.shape[0], moving.shape[1], *shape], align_corners=False)
        return functional.grid_sample(moving.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def homogeneous(theta: Tensor) -> Tensor:
    """Add the row (0, 0, 0, 1): (N, 3, 4) to (N, 4, 4) float32."""
    row = torch.zeros_like(theta[:, :1])
    row[..., 3] = 1.0
    return torch.cat([theta, row], dim=1).float()


def compose_theta(*outermost_first: Tensor) -> Tensor:
    """Compose transforms (N, 3, 4) as a matrix product: the last one acts on points first."""
    with torch.autocast(outermost_first[0].device.type, enabled=False):
        product = homogeneous(outermost_first[0])
        for theta in outermost_first[1:]:
            product = product @ homogeneous(theta)
    return product[:, :3]


def invert_theta(theta: Tensor) -> Tensor:
    """Return the inverse of `theta`, (N, 3, 4)."""
    return torch.linalg.inv(homogeneous(theta))[:, :3]


def transform_points(theta: Tensor, points: Tensor) -> Tensor:
    """Map normalised points (P, 3) or (N, P, 3), as (x, y, z), by `theta`: (N, P, 3) float32."""
    with torch.autocast(theta.device.type, enabled=False):
        theta = theta.float()
        return points.float() @ theta[:, :, :3].transpose(1, 2) + theta[:, None, :, 3]
