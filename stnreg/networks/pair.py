"""The localisation network of the published method: 5x5x5 convolutions, fully connected layers, a head."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from stnreg.networks.parameters import HEADS, ORDER, RAW_COUNT, Bounds, affine_theta, separate_theta

KERNEL = 5  # voxels, as published
STRIDE = 2


@dataclass(frozen=True)
class PairArchitecture:
    """The architecture of a pair network; stored with its weights.

    Attributes
    ----------
    head : str
        `affine` or `separate`.
    size : int
        Edge of the input cubes in voxels. The fully connected layer depends on it.
    channels : tuple of int
        Width of each convolution; every one halves the cube.
    hidden : int
        Width of the fully connected layer.
    norm : bool
        Instance normalisation after every convolution.
    order : tuple of str
        Of the `separate` head: its transformations, first-applied first.
    bounds : Bounds
        Of the `separate` head.
    """

    head: str = "affine"
    size: int = 64
    channels: tuple[int, ...] = (16, 32, 48, 48)
    hidden: int = 128
    norm: bool = True
    order: tuple[str, ...] = ORDER
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head is one of {', '.join(HEADS)}, got {self.head!r}")
        unknown = set(self.order) - set(ORDER)
        if unknown or len(set(self.order)) != len(self.order):
            raise ValueError(f"order names some of {', '.join(ORDER)}, each once, got {self.order}")

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

    def __init__(self, architecture: PairArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        layers: list[nn.Module] = []
        width, edge = 2, architecture.size
        for channels in architecture.channels:
            layers.append(nn.Conv3d(width, channels, KERNEL, STRIDE, padding=KERNEL // 2))
            if architecture.norm:
                layers.append(nn.InstanceNorm3d(channels, affine=True))
            layers.append(nn.ReLU())
            width, edge = channels, (edge + 1) // STRIDE
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(width * edge**3, architecture.hidden)
        self.head = nn.Linear(architecture.hidden, RAW_COUNT)
        # Zero initialisation: the untrained network returns the identity for any input.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """Map `pair` (N, 2, D, D, D), fixed and moving, to theta (N, 3, 4) float32, fixed to moving."""
        flat = self.features(pair).flatten(1)  # (N, channels * edge^3)
        raw = self.head(torch.relu(self.hidden(flat)))  # (N, 12)
        if self.architecture.head == "affine":
            return affine_theta(raw)
        return separate_theta(raw, self.architecture.bounds, self.architecture.order)
