"""A body that fits the parameters of a head: a Gauss-Newton step between trained descriptions of two images.

The published network regresses the parameters from all features at once, by fully connected layers. What its passes
leave is small, and every place shows it: the difference of the images there, over their slope, is how far they are
apart along that slope. The parameters that explain all places best follow by weighted least squares (Lucas and Kanade,
IJCAI 1981). The descriptions, the weights of places and features, and the damping are trained (as Lv et al., "Taking a
Deeper Look at the Inverse Compositional Algorithm", CVPR 2019, do for video).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 5  # of the first convolution, voxels, as published
RIM = (3, 2)  # cells at every side of the two levels that are left out: they see the padding of the convolutions
SMALLEST_SIZE = 24  # voxels; the coarse level then has two cells a side
LEAST = 1e-4  # damping, of a diagonal of ones
HIDDEN = 16
COORDINATES = [9, 3, 1, 0]  # of x, y, z and 1 in a list of x^i y^j z^k by 9 i + 3 j + k
PRODUCTS = [a + b for a in COORDINATES for b in COORDINATES]


class FittedBody(nn.Module):
    """From two images to the raw parameters of a head.

    Each image is described alone, with shared weights, at two levels of cells of 2 and 4 voxels.

    Parameters
    ----------
    channels : (int, int)
        Width of the convolutions at each level.
    described : int
        Number of features at each level.
    raw_to_theta : (12, 12)
        The Jacobian of theta (3, 4), flat, by the raw parameters, at zero.
    """

    raw_to_theta: Tensor

    def __init__(self, channels: tuple[int, ...], described: int, raw_to_theta: Tensor) -> None:
        super().__init__()
        fine, coarse = channels
        self.fine = _layer(1, fine, KERNEL)
        self.coarse = _layer(fine, coarse, 3)
        self.describe = nn.ModuleList([nn.Conv3d(width, described, 3, padding=1) for width in channels])
        self.weigh = nn.ModuleList([_weigher(described) for _ in RIM])
        last = nn.Linear(HIDDEN, len(RIM) * described)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.balance = nn.Sequential(nn.Linear(len(RIM) * described, HIDDEN), nn.ReLU(), last)
        self.damping = nn.Parameter(torch.full((len(raw_to_theta),), -5.0))  # logarithms
        self.register_buffer("raw_to_theta", raw_to_theta, persistent=False)

    def forward(self, pair: Tensor) -> Tensor:
        """Map `pair` (N, 2, D, D, D), fixed and moving, to raw parameters (N, 12) float32."""
        levels = self._levels(pair)
        with torch.autocast(pair.device.type, enabled=False):
            distance = torch.cat(
                [(level.weight * level.difference.square()).mean(dim=(2, 3, 4)) for level in levels], dim=1
            )
            shares = torch.softmax(self.balance(torch.log(distance + 1e-3)), dim=1).chunk(len(levels), dim=1)
            parts = [level.normal_equations(share) for level, share in zip(levels, shares, strict=True)]
            matrix, vector = (torch.stack(part).sum(0) for part in zip(*parts, strict=True))
            return self._solved(matrix, vector)

    def _levels(self, pair: Tensor) -> list["_Level"]:
        """Describe both images at each level."""
        count = len(pair)
        fine = self.fine(torch.cat([pair[:, :1], pair[:, 1:]]))  # both images, one after the other
        found = []
        for level, features in enumerate((fine, self.coarse(fine))):
            # Of mean 0 and deviation 1: neither brightness nor contrast is left.
            both = functional.instance_norm(self.describe[level](features).float())
            fixed, moving = both[:count], both[count:]
            weight = self.weigh[level](torch.cat([fixed + moving, (fixed - moving).abs()], dim=1)).float()
            found.append(_Level(fixed, moving, weight, RIM[level]))
        return found

    def _solved(self, matrix: Tensor, vector: Tensor) -> Tensor:
        """Solve the normal equations of theta, (N, 12, 12) and (N, 12, 1), for the raw parameters, (N, 12)."""
        to_theta = self.raw_to_theta
        matrix, vector = to_theta.T @ matrix @ to_theta, to_theta.T @ vector
        scale = (torch.diagonal(matrix, dim1=1, dim2=2) + 1e-9).rsqrt()[:, :, None]  # (N, 12, 1)
        damped = scale * matrix * scale.transpose(1, 2) + torch.diag(self.damping.exp() + LEAST)
        return (scale * solve(damped, scale * vector))[:, :, 0]


class _Level:
    """Descriptions (N, K, d, d, d) and weights (N, 1, d, d, d) without the rim, and slopes, in normalised units."""

    def __init__(self, fixed: Tensor, moving: Tensor, weight: Tensor, rim: int) -> None:
        edge = fixed.shape[-1]
        mean = (fixed + moving) / 2
        inner = slice(rim, edge - rim)
        after, before = slice(rim + 1, edge - rim + 1), slice(rim - 1, edge - rim - 1)
        self.difference = (fixed - moving)[:, :, inner, inner, inner]
        self.weight = weight[:, :, inner, inner, inner]
        rises = (
            mean[:, :, inner, inner, after] - mean[:, :, inner, inner, before],
            mean[:, :, inner, after, inner] - mean[:, :, inner, before, inner],
            mean[:, :, after, inner, inner] - mean[:, :, before, inner, inner],
        )
        self.slope = torch.stack(rises, dim=1) * (edge / 4)  # (N, 3, K, d, d, d); two cells are 4 / edge wide
        axis = (torch.arange(edge, device=fixed.device)[inner] * 2 + 1) / edge - 1
        self.powers = torch.stack([torch.ones_like(axis), axis, axis.square()], dim=1)  # (d, 3)

    def normal_equations(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normal equations of theta, (N, 12, 12) and (N, 12, 1), for shares of the features, (N, K)."""
        count, edge = len(share), len(self.powers)
        weighted = self.slope * (share[:, None, :, None, None, None] * self.weight[:, None])
        sides = (weighted * self.difference[:, None]).sum(2)  # (N, 3, d, d, d)
        squares = torch.cat([(weighted * self.slope[:, i : i + 1]).sum(2) for i in range(3)], dim=1)  # (N, 9, d, d, d)
        moments = self._moments(torch.cat([sides, squares], dim=1)) / edge**3
        vector = moments[:, :3, COORDINATES].reshape(count, 12, 1)
        matrix = moments[:, 3:, PRODUCTS].reshape(count, 3, 3, 4, 4)
        return matrix.permute(0, 1, 3, 2, 4).reshape(count, 12, 12), vector

    def _moments(self, values: Tensor) -> Tensor:
        """Sum values (N, C, d, d, d) times x^i y^j z^k: (N, C, 27), at 9 i + 3 j + k, powers up to 2."""
        along_x = values @ self.powers  # (N, C, z, y, i)
        along_y = along_x.transpose(3, 4) @ self.powers  # (N, C, z, i, j)
        return (along_y.permute(0, 1, 3, 4, 2) @ self.powers).flatten(2)


def solve(matrix: Tensor, vector: Tensor) -> Tensor:
    """Solve positive definite systems (N, P, P), (N, P, 1) by elimination, in operations that ONNX has."""
    count = matrix.shape[1]
    unit = torch.eye(count, device=matrix.device)
    rows = torch.cat([matrix, vector], dim=2)
    for k in range(count):
        pivot = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rows = rows - (rows[:, :, k : k + 1] - unit[:, k : k + 1]) * pivot
    return rows[:, :, count:]


def _layer(width: int, channels: int, kernel: int) -> nn.Sequential:
    """Return a convolution that halves the cube, with its normalisation and activation."""
    return nn.Sequential(
        nn.Conv3d(width, channels, kernel, 2, padding=kernel // 2), nn.InstanceNorm3d(channels, affine=True), nn.ReLU()
    )


def _weigher(described: int) -> nn.Sequential:
    """Return the layers that weigh a place by what both images show there."""
    return nn.Sequential(nn.Conv3d(2 * described, HIDDEN, 1), nn.ReLU(), nn.Conv3d(HIDDEN, 1, 1), nn.Sigmoid())
