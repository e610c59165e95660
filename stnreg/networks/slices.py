"""Networks that regress the rigid transform between two slices, as Sloan et al. train them (BIOIMAGING 2018)."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

KERNEL, STRIDE = 5, 2
SLICE_BODIES = ("dense", "fcn")


@dataclass(frozen=True)
class SliceArchitecture:
    """The architecture of a slice network; stored with its weights.

    Attributes
    ----------
    body : str
        `dense`: convolutions, then fully connected layers (the CNN); `fcn`: convolutions alone, averaged.
    size : int
        Edge of the slices, pixels.
    channels : tuple of int
        Width of each convolution; every one halves the slice.
    hidden : int
        Width of the last hidden layer.
    rotation_deg, translation : float
        Bounds; the translation in half-edges of the slice.
    """

    body: str = "dense"
    size: int = 64
    channels: tuple[int, ...] = (16, 32, 48)
    hidden: int = 128
    rotation_deg: float = 75.0
    translation: float = 0.6

    def __post_init__(self) -> None:
        if self.body not in SLICE_BODIES:
            raise ValueError(f"body is one of {', '.join(SLICE_BODIES)}, got {self.body!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, strings and lists only."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SliceArchitecture":
        """Build from the result of `to_dict`; ValueError on an unknown name."""
        unknown = set(values) - {item.name for item in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings of a slice network: {', '.join(sorted(unknown))}")
        return cls(**{**values, "channels": tuple(values.get("channels", cls.channels))})


class SliceNet(nn.Module):
    """From two slices to the rigid transform between them."""

    places: Tensor
    hidden: nn.Module

    def __init__(self, architecture: SliceArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        layers: list[nn.Module] = []
        width, edge = 2, architecture.size
        for channels in architecture.channels:
            layers += [nn.Conv2d(width, channels, KERNEL, STRIDE, padding=KERNEL // 2), nn.InstanceNorm2d(channels)]
            layers.append(nn.ReLU())
            width, edge = channels, (edge + 1) // STRIDE
        self.features = nn.Sequential(*layers)
        if architecture.body == "fcn":
            # Where a feature lies must survive the average: coordinates are two more channels.
            self.hidden = nn.Conv2d(width + 2, architecture.hidden, 1)
            axis = torch.linspace(-1, 1, edge)
            self.register_buffer(
                "places", torch.stack(torch.meshgrid(axis, axis, indexing="xy"))[None], persistent=False
            )
        else:
            self.hidden = nn.Linear(width * edge**2, architecture.hidden)
        self.head = nn.Linear(architecture.hidden, 3)
        nn.init.zeros_(self.head.weight)  # the untrained network returns the identity
        nn.init.zeros_(self.head.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """Map `pair` (N, 2, H, W), fixed and moving, to parameters (N, 3).

        The rotation, rad, and the translation along x and y, half-edges, of the map from fixed to moving points.
        """
        found = self.features(pair)
        if self.architecture.body == "fcn":
            places = self.places.expand(len(found), -1, -1, -1)
            hidden = torch.relu(self.hidden(torch.cat([found, places], dim=1))).mean(dim=(2, 3))
        else:
            hidden = torch.relu(self.hidden(found.flatten(1)))
        bounds = torch.tensor([math.radians(self.architecture.rotation_deg), *[self.architecture.translation] * 2])
        return torch.tanh(self.head(hidden)) * bounds.to(hidden)


def slice_theta(parameters: Tensor) -> Tensor:
    """Return theta (N, 2, 3) of rotation (rad) and translation (half-edges) about the centre, (N, 3)."""
    angle, x, y = parameters.float().unbind(1)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s, x], dim=1), torch.stack([s, c, y], dim=1)], dim=1)


def slice_parameters(theta: Tensor) -> Tensor:
    """Return the rotation and translation (N, 3) of rigid theta (N, 2, 3)."""
    return torch.stack([torch.atan2(theta[:, 1, 0], theta[:, 0, 0]), theta[:, 0, 2], theta[:, 1, 2]], dim=1)


def compose_slices(outer: Tensor, inner: Tensor) -> Tensor:
    """Compose theta (N, 2, 3): `inner` acts first."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return torch.cat([linear, shift], dim=2)


def invert_slices(theta: Tensor) -> Tensor:
    """Return the inverse of rigid theta (N, 2, 3)."""
    back = theta[:, :, :2].transpose(1, 2)
    return torch.cat([back, -back @ theta[:, :, 2:]], dim=2)
