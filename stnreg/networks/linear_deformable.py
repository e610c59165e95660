"""Christodoulidis et al. in small: one encoder, from which an affine and a deformation are decoded together.

Christodoulidis, Sahasrabudhe, Vakalopoulou, Chassagnon, Revel, Mougiakakou, Paragios: Linear and Deformable Image
Registration with 3D Convolutional Neural Networks. MICCAI workshop RAMBO 2018, arXiv 1809.06226. The encoder has
dilated convolutions, all of which the decoder sees; twelve numbers are the affine, and the deformation is the
cumulative sum of its own spatial gradients, each between 0 and 2. Here the affine is read off features that are pooled
in blocks, not over the whole grid, so that a rotation can be told from a shift.

Arrays are (N, C, z, y, x); vectors are (x, y, z), mm about the middle of the grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LINEAR_SCALE = 0.3  # of the linear part of the affine, per unit of the last layer
SHIFT_MM = 20.0  # of its translation, the same


@dataclass(frozen=True)
class LinearDeformableShape:
    """What rebuilds the network.

    Attributes
    ----------
    shape : tuple of int
        Voxels of the input along z, y, x; multiples of `pool`.
    spacing_mm : float
    width : int
        Channels of every convolution of the encoder.
    dilations : tuple of int
        Of its convolutions, after the first.
    pool : int
        Edge of the blocks that are pooled for the affine, voxels.
    """

    shape: tuple[int, int, int] = (40, 48, 40)
    spacing_mm: float = 4.0
    width: int = 16
    dilations: tuple[int, ...] = (1, 2, 3, 5)
    pool: int = 8


class Weighting(nn.Module):
    """Squeeze and excitation: each channel is weighted by what the means of all of them say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // 4, 2))
        self.excite = nn.Linear(max(channels // 4, 2), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, D, H, W) to the same."""
        weight = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3, 4))))))
        return x * weight[:, :, None, None, None]


def _block(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, 1, dilation, dilation, bias=False),
        nn.InstanceNorm3d(outputs, affine=True),
        nn.LeakyReLU(0.1),
    )


def integrated(gradients: Tensor, spacing_mm: float) -> Tensor:
    """Return displacements whose coordinates grow by the given gradients from voxel to voxel, (N, 3, D, H, W) mm.

    Parameters
    ----------
    gradients : (N, 3, D, H, W)
        Of the x coordinate along x, of y along y, of z along z; 1 leaves the grid as it is, and none is negative, so
        that no coordinate turns back along its own axis. Across the axes nothing is bounded, and the map may fold.
    """
    along_x, along_y, along_z = (gradients - 1).split(1, 1)
    return spacing_mm * torch.cat([along_x.cumsum(4), along_y.cumsum(3), along_z.cumsum(2)], 1)


def places_mm(shape: tuple[int, ...], spacing_mm: float, *, like: Tensor) -> Tensor:
    """Return voxel centres about the middle of the grid, (1, 3, D, H, W) mm, (x, y, z)."""
    axes = [(torch.arange(n, device=like.device, dtype=torch.float32) - (n - 1) / 2) * spacing_mm for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z])[None]


class LinearDeformableNet(nn.Module):
    """Two images in, an affine and the gradients of a deformation out."""

    def __init__(self, shape: LinearDeformableShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.entry = _block(2, width)
        self.dilated = nn.ModuleList([_block(width, width, dilation) for dilation in shape.dilations])
        merged = width * (1 + len(shape.dilations))
        self.weighting = Weighting(merged)
        self.decoder = nn.Sequential(_block(merged, 2 * width), Weighting(2 * width), _block(2 * width, width))
        self.gradients = nn.Conv3d(width, 3, 3, padding=1)
        blocks = 1
        for edge in shape.shape:
            blocks *= edge // shape.pool
        self.narrow = nn.Conv3d(merged, 8, 1)
        self.linear = nn.Linear(8 * blocks, 12)
        # Untrained, the network returns the identity.
        for last in (self.gradients, self.linear):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, pair: Tensor) -> Tensor:
        """Return the whole displacement, affine included, of a pair (N, 2, D, H, W): (N, 3, D, H, W) mm."""
        return self.displacement(*self.parts(pair))

    def parts(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Return the affine (N, 3, 4), translation in mm, and the gradients (N, 3, D, H, W), 0 to 2."""
        features = [self.entry(pair)]
        for block in self.dilated:
            features.append(block(features[-1]))
        merged = self.weighting(torch.cat(features, 1))
        gradients = 2 * torch.sigmoid(self.gradients(self.decoder(merged)).float())
        pooled = functional.relu(functional.avg_pool3d(self.narrow(merged), self.shape.pool))
        raw = self.linear(pooled.flatten(1)).float().reshape(-1, 3, 4)
        scale = raw.new_tensor([LINEAR_SCALE] * 3 + [SHIFT_MM])
        return torch.eye(3, 4, device=raw.device) + raw * scale, gradients

    def displacement(self, affine: Tensor, gradients: Tensor) -> Tensor:
        """Return A(x + u(x)) - x, (N, 3, D, H, W) mm: a fixed point is moved by the deformation, then by the affine."""
        spacing_mm = self.shape.spacing_mm
        bent = integrated(gradients, spacing_mm)
        start = places_mm(self.shape.shape, spacing_mm, like=bent)
        place = (start + bent).flatten(2)
        moved = affine[:, :, :3] @ place + affine[:, :, 3:]
        return moved.reshape(bent.shape) - start
