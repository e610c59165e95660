"""The anatomy network: from one scan to a soft map of every structure, at half the resolution."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class AnatomyShape:
    """The architecture: grid, number of maps, and widths from fine to coarse."""

    shape: tuple[int, int, int]  # voxels of the input box along z, y, x
    spacing_mm: float
    maps: int
    widths: tuple[int, ...] = (24, 48, 96, 96)

    def as_dict(self) -> dict[str, object]:
        """Return plain values for a checkpoint or a sidecar."""
        return asdict(self)


class Block(nn.Module):
    """Two 3x3x3 convolutions with instance norm; the second one is residual."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.InstanceNorm3d(outputs, affine=True)
        self.second = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.InstanceNorm3d(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, D, H, W) to (N, outputs, D / stride, H / stride, W / stride)."""
        x = functional.leaky_relu(self.first_norm(self.first(x)), 0.1)
        return x + functional.leaky_relu(self.second_norm(self.second(x)), 0.1)


class AnatomyNet(nn.Module):
    """A U-Net without its finest level: the maps have half the resolution of the input.

    Each level halves the grid, so its edges must be multiples of 2 to the power of the levels.
    """

    def __init__(self, shape: AnatomyShape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.down = nn.ModuleList([Block(a, b, 2) for a, b in zip((1, *widths), widths, strict=False)])
        self.narrow = nn.ModuleList([nn.Conv3d(b, a, 1) for a, b in pairwise(widths)])
        self.up = nn.ModuleList([Block(a, a) for a in widths[:-1]])
        self.head = nn.Conv3d(widths[0], shape.maps, 1)

    def forward(self, scan: Tensor) -> Tensor:
        """Return logits.

        Parameters
        ----------
        scan : (N, 1, D, H, W) float
            Normalised by `stnreg.preprocessing.intensity.percentile`, about 0 to 1.

        Returns
        -------
        (N, maps, D/2, H/2, W/2) float
        """
        features = []
        x = scan
        for block in self.down:
            x = block(x)
            features.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](self.enlarge(self.narrow[level](x)) + features[level])
        return self.head(x)

    def enlarge(self, x: Tensor) -> Tensor:
        """Repeat each voxel of (N, C, D, H, W) along all three axes."""
        return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class AnatomyMaps(AnatomyNet):
    """The network with its softmax, as it is exported. Its weights have the same names.

    Softmax over channels and nearest-neighbour resizing are implemented by elementary operators: those of onnxruntime
    took more than half of the inference time on two cores.
    """

    def forward(self, scan: Tensor) -> Tensor:
        """Return the soft segmentation, (N, maps, D/2, H/2, W/2)."""
        logits = super().forward(scan)
        shares = torch.exp(logits - logits.amax(1, keepdim=True))
        return shares / shares.sum(1, keepdim=True)

    def enlarge(self, x: Tensor) -> Tensor:
        """Repeat each voxel of (N, C, D, H, W) along all three axes."""
        n, c, d, h, w = x.shape
        rows = torch.stack([x, x], -1).reshape(n, c, d, h, 2 * w)
        planes = torch.cat([rows, rows], -1).reshape(n, c, d, 4 * h * w)
        return torch.cat([planes, planes], -1).reshape(n, c, 2 * d, 2 * h, 2 * w)
