"""Localisation networks: convolutions, fully connected layers, a head.

That of the published method has both images as channels and 5x5x5 convolutions. Those of its relatives differ in the
body: fully convolutional (Sloan et al., "Learning Rigid Image Registration", BIOIMAGING 2018), or one encoder that sees
each image alone, with shared weights (Chee and Wu, "AIRNet", arXiv 1810.02583). That of the last pass fits the
parameters (`networks.fitted`).
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from stnreg.networks.fitted import SMALLEST_SIZE, FittedBody
from stnreg.networks.parameters import HEADS, ORDER, RAW_COUNT, Bounds, raw_to_theta, theta_of

KERNEL = 5  # voxels, as published
BODIES = ("dense", "fcn", "twin", "fitted")
STRIDE = 2


@dataclass(frozen=True)
class PairArchitecture:
    """The architecture of a pair network; stored with its weights.

    Attributes
    ----------
    head : str
        `affine`, `separate` or `rigid`.
    size : int
        Edge of the input cubes in voxels. The fully connected layer depends on it.
    channels : tuple of int
        Width of each convolution; every one halves the cube.
    hidden : int
        Width of the fully connected layer; number of features at each level of a `fitted` body.
    norm : bool
        Instance normalisation after every convolution.
    order : tuple of str
        Of the `separate` head: its transformations, first-applied first.
    bounds : Bounds
        Of the heads `separate` and `rigid`.
    body : str
        `dense`: both images are channels, and fully connected layers see where every feature is, as published; `fcn`:
        the same, but the last layer is a convolution whose output is averaged over the cube; `twin`: one encoder, with
        shared weights, sees each image alone; `fitted`: least squares between what that encoder describes, for small
        moves.
    """

    head: str = "affine"
    size: int = 64
    channels: tuple[int, ...] = (16, 32, 48, 48)
    hidden: int = 128
    norm: bool = True
    order: tuple[str, ...] = ORDER
    bounds: Bounds = field(default_factory=Bounds)
    body: str = "dense"

    def __post_init__(self) -> None:
        if self.body not in BODIES:
            raise ValueError(f"body is one of {', '.join(BODIES)}, got {self.body!r}")
        if self.head not in HEADS:
            raise ValueError(f"head is one of {', '.join(HEADS)}, got {self.head!r}")
        unknown = set(self.order) - set(ORDER)
        if unknown or len(set(self.order)) != len(self.order):
            raise ValueError(f"order names some of {', '.join(ORDER)}, each once, got {self.order}")
        if self.body == "fitted" and (len(self.channels) != 2 or self.size < SMALLEST_SIZE):
            raise ValueError(f"a fitted body has two channels and a size of at least {SMALLEST_SIZE}")

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, strings and lists only, for JSON and `weights_only` loading."""
        return {**asdict(self), "channels": list(self.channels), "order": list(self.order)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PairArchitecture":
        """Build from the result of `to_dict`; ValueError on an unknown name."""
        unknown = set(values) - {item.name for item in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings of a pair network: {', '.join(sorted(unknown))}")
        values = dict(values)
        for name in ("channels", "order"):
            if name in values:
                values[name] = tuple(values[name])
        if isinstance(values.get("bounds"), dict):
            values["bounds"] = Bounds(**values["bounds"])
        return cls(**values)


class PairNet(nn.Module):
    """From two images to theta."""

    places: Tensor
    hidden: nn.Module

    def __init__(self, architecture: PairArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        body = architecture.body
        if body == "fitted":
            to_theta = raw_to_theta(architecture.head, architecture.bounds, architecture.order)
            self.fitted = FittedBody(architecture.channels, architecture.hidden, to_theta)
            return
        layers: list[nn.Module] = []
        width, edge = 1 if body == "twin" else 2, architecture.size
        for channels in architecture.channels:
            layers.append(nn.Conv3d(width, channels, KERNEL, STRIDE, padding=KERNEL // 2))
            if architecture.norm:
                layers.append(nn.InstanceNorm3d(channels, affine=True))
            layers.append(nn.ReLU())
            width, edge = channels, (edge + 1) // STRIDE
        self.features = nn.Sequential(*layers)
        if body == "fcn":
            # Where a feature lies must survive the average: coordinates are three more channels.
            self.hidden = nn.Conv3d(width + 3, architecture.hidden, 1)
            self.register_buffer("places", _places(edge), persistent=False)
        else:
            self.hidden = nn.Linear((2 if body == "twin" else 1) * width * edge**3, architecture.hidden)
        self.head = nn.Linear(architecture.hidden, RAW_COUNT)
        # Zero initialisation: the untrained network returns the identity for any input.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """Map `pair` (N, 2, D, D, D), fixed and moving, to theta (N, 3, 4) float32, fixed to moving."""
        is_fitted = self.architecture.body == "fitted"
        raw = self.fitted(pair) if is_fitted else self.head(self._described(pair))  # (N, 12)
        return theta_of(self.architecture.head, raw, self.architecture.bounds, self.architecture.order)

    def _described(self, pair: Tensor) -> Tensor:
        """Return the hidden layer, (N, hidden)."""
        if self.architecture.body == "twin":
            both = torch.cat([self.features(pair[:, :1]).flatten(1), self.features(pair[:, 1:]).flatten(1)], dim=1)
            return torch.relu(self.hidden(both))
        found = self.features(pair)  # (N, channels, d, d, d)
        if self.architecture.body == "fcn":
            places = self.places.expand(len(found), -1, -1, -1, -1)
            return torch.relu(self.hidden(torch.cat([found, places], dim=1))).mean(dim=(2, 3, 4))
        return torch.relu(self.hidden(found.flatten(1)))


def _places(edge: int) -> Tensor:
    """Return the coordinates of the voxels of a cube, (1, 3, edge, edge, edge), -1 to 1 along x, y, z."""
    axis = torch.linspace(-1, 1, edge) if edge > 1 else torch.zeros(1)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z])[None]
