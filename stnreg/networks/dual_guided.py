"""BIRNet in small: a U-Net on patches that gives a displacement at every level.

Fan, Cao, Yap, Shen: BIRNet: Brain image registration using dual-supervised fully convolutional networks. Medical Image
Analysis 54 (2019) 193-206, arXiv 1802.04692. Both images come with their difference and their edges (multi-source),
more convolutions fill the gap between the two ends of the U-Net (gap filling), and coarse levels are supervised, too
(hierarchical loss). There is no fully connected layer and no norm over a whole image: a network that was trained on
patches runs on a whole head at once.

Arrays are (N, C, z, y, x); vectors are (x, y, z), mm.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SOURCES = 5  # fixed, moving, their difference, edges of either


@dataclass(frozen=True)
class DualGuidedShape:
    """What rebuilds the network.

    Attributes
    ----------
    shape : tuple of int
        Voxels of a whole head along z, y, x; multiples of 2 to the power of the levels less one.
    spacing_mm : float
    widths : tuple of int
        Of the levels, fine to coarse; each halves the grid.
    gap : int
        Convolutions between the two ends of each level.
    """

    shape: tuple[int, int, int] = (40, 48, 40)
    spacing_mm: float = 4.0
    widths: tuple[int, ...] = (16, 32, 48, 48)
    gap: int = 2


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
    )


def sources(pair: Tensor) -> Tensor:
    """Return what the network sees of (N, 2, D, H, W): both images, moving less fixed, and how steep either is."""
    wide = functional.pad(pair, (1, 1, 1, 1, 1, 1), mode="replicate")
    inner = slice(1, -1)
    along_x = wide[:, :, inner, inner, 2:] - wide[:, :, inner, inner, :-2]
    along_y = wide[:, :, inner, 2:, inner] - wide[:, :, inner, :-2, inner]
    along_z = wide[:, :, 2:, inner, inner] - wide[:, :, :-2, inner, inner]
    edges = (along_x.square() + along_y.square() + along_z.square() + 1e-6).sqrt()
    return torch.cat([pair, pair[:, 1:] - pair[:, :1], edges], 1)


class DualGuidedNet(nn.Module):
    """Two images in, a displacement out, at every level."""

    def __init__(self, shape: DualGuidedShape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.entry = nn.Sequential(_block(SOURCES, widths[0]), _block(widths[0], widths[0]))
        self.down = nn.ModuleList([nn.Sequential(_block(a, b, 2), _block(b, b)) for a, b in pairwise(widths)])
        self.gap = nn.ModuleList([nn.Sequential(*(_block(a, a) for _ in range(shape.gap))) for a in widths[:-1]])
        self.up = nn.ModuleList([nn.Sequential(_block(a + b, a), _block(a, a)) for a, b in pairwise(widths)])
        self.heads = nn.ModuleList([nn.Conv3d(a, 3, 3, padding=1) for a in widths[:-1]])
        for head in self.heads:
            nn.init.normal_(head.weight, std=1e-3)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, pair: Tensor) -> Tensor:
        """Return the finest displacement of a pair (N, 2, D, H, W): (N, 3, D, H, W) mm."""
        return self.levels(pair)[0]

    def levels(self, pair: Tensor) -> list[Tensor]:
        """Return the displacements of all levels, fine to coarse, (N, 3, D / 2^l, H / 2^l, W / 2^l) mm.

        Each head is scaled by the edge of its voxels.
        """
        features = [self.entry(sources(pair))]
        for block in self.down:
            features.append(block(features[-1]))
        x, found = features[-1], []
        for level in reversed(range(len(self.up))):
            here = self.gap[level](features[level])
            x = self.up[level](torch.cat([here, functional.interpolate(x, scale_factor=2.0, mode="nearest")], 1))
            found.append(self.heads[level](x).float() * (self.shape.spacing_mm * 2.0**level))
        return found[::-1]
