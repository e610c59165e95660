"""The synthesis network: a brain of any contrast in, the same brain as a T1-weighted scan shows it out.

Two heads of one contrast can be compared voxel by voxel. What a brain looks like in T1 is known from its structures, so
the encoder that tells these apart whatever the contrast leads, and the image itself says where their borders lie.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnreg.networks.anatomy import AnatomyShape
from stnreg.networks.velocity import Encoder

BLOCK = 2  # voxels along each axis that become channels: convolutions run at half the resolution


@dataclass(frozen=True)
class SynthesisShape:
    """What rebuilds the network: the grid, and widths of the encoder, fine to coarse, and of the head."""

    shape: tuple[int, int, int] = (80, 96, 80)  # voxels along z, y, x
    spacing_mm: float = 2.0
    maps: int = 146  # structures that the encoder was taught to tell apart
    widths: tuple[int, ...] = (24, 48, 96, 96)
    head_width: int = 64

    def as_dict(self) -> dict[str, object]:
        """Return plain values for a checkpoint or a sidecar."""
        return asdict(self)


class SynthesisNet(nn.Module):
    """The encoder's finest features and the image's own voxels, by four convolutions to a T1-weighted image."""

    def __init__(self, shape: SynthesisShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(AnatomyShape(shape.shape, shape.spacing_mm, shape.maps, shape.widths))
        voxels = BLOCK**3
        self.first = nn.Conv3d(shape.widths[0] + voxels, shape.head_width, 3, 1, 1)
        self.second = nn.Conv3d(shape.head_width, shape.head_width, 3, 1, 1)
        self.third = nn.Conv3d(shape.head_width, shape.head_width, 3, 1, 1)
        self.last = nn.Conv3d(shape.head_width, 2 * voxels, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the T1-weighted image, and how certain it is.

        Parameters
        ----------
        image : (N, 1, D, H, W) float32
            A brain of any contrast: 0 and 1 at its 1st and 99th percentile, 0 beyond its surroundings.

        Returns
        -------
        (N, 2, D, H, W) float32
            The T1-weighted image on the same scale, and its squared local correlation with a real one as the network
            expects it, 0 to 1.
        """
        x = self.first(torch.cat([self.encoder.features(image)[0], to_channels(image)], 1))
        x = functional.leaky_relu(x, 0.1)
        x = x + functional.leaky_relu(self.second(x), 0.1)
        x = x + functional.leaky_relu(self.third(x), 0.1)
        made, certain = self.last(x).chunk(2, 1)
        return torch.cat([from_channels(made), torch.sigmoid(from_channels(certain))], 1)


def to_channels(image: Tensor) -> Tensor:
    """Lay the voxels of each block side by side: (N, 1, D, H, W) to (N, 8, D/2, H/2, W/2)."""
    n, _, d, h, w = image.shape
    b = BLOCK
    blocks = image.reshape(n, d // b, b, h // b, b, w // b, b)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5).reshape(n, b**3, d // b, h // b, w // b)


def from_channels(values: Tensor) -> Tensor:
    """Undo `to_channels`."""
    n, _, d, h, w = values.shape
    b = BLOCK
    blocks = values.reshape(n, b, b, b, d, h, w)
    return blocks.permute(0, 4, 1, 5, 2, 6, 3).reshape(n, 1, d * b, h * b, w * b)
