"""What the related methods share as tasks of the training loop: pairs of scans, similarity, and validation."""

from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnreg.networks.velocity import warp
from stnreg.training.deformable import losses
from stnreg.training.deformable.subjects import Pack
from stnreg.training.deformable.validate import hard_dice
from stnreg.training.related.heads import Heads, Pair

HELD_SEED = 9  # of the moves of validation pairs


@dataclass(frozen=True)
class Similarity:
    """How images are compared.

    Attributes
    ----------
    kind : str
        `local`: squared correlation in boxes; `global`: correlation over the brain; `both`: the mean of these two;
        `squared`: mean squared difference.
    window : int
        Edge of the boxes, voxels; odd.
    """

    kind: str = "local"
    window: int = 5

    def __post_init__(self) -> None:
        if self.kind not in ("local", "global", "both", "squared"):
            raise ValueError(f"similarity is local, global, both or squared, got {self.kind!r}")

    def loss(self, fixed: Tensor, moved: Tensor, where: Tensor) -> Tensor:
        """Return how unlike two images are where it counts, a scalar; all (N, 1, D, H, W)."""
        if self.kind == "local":
            return 1 - losses.local_correlation(fixed, moved, where, self.window).mean()
        if self.kind == "global":
            return 1 - correlation(fixed, moved, where).mean()
        if self.kind == "both":
            parts = (Similarity(kind, self.window).loss(fixed, moved, where) for kind in ("local", "global"))
            return torch.stack(tuple(parts)).mean()
        weight = where.flatten(1).float()
        off = (fixed - moved).square().flatten(1) * weight
        return (off.sum(1) / weight.sum(1).clamp_min(1)).mean()

    def of_pair(self, pair: Pair, displacement_mm: Tensor, spacing_mm: float) -> Tensor:
        """Return how unlike the heads of a pair are inside the fixed brain, the moving one moved; a scalar."""
        return self.loss(pair.fixed, warp(pair.moving, displacement_mm, spacing_mm, "zeros"), pair.brain)


class RelatedTask:
    """A task: pairs are a function of seed and step; weights are scored by label Dice of scans that were held out.

    Parameters
    ----------
    name : str
        Of the model.
    settings : dataclass
        With `network`, `similarity`, `moves` and `validation_pairs`.
    pack : Pack
    seed, steps : int
        Of the run.
    """

    def __init__(self, name: str, settings: Any, pack: Pack, seed: int, steps: int) -> None:
        self.name, self.settings, self.pack = name, settings, pack
        self.seed, self.steps = seed, steps
        self.heads = Heads(pack, settings.network.shape, settings.network.spacing_mm)

    def build(self) -> nn.Module:
        """Return a new network."""
        raise NotImplementedError

    def parts(self, model: Any, pair: Pair) -> dict[str, Tensor]:
        """Return the terms of the loss of a pair, `loss` among them."""
        raise NotImplementedError

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return the terms of the loss at a step."""
        return self.parts(model, self.pair(step))

    @torch.no_grad()
    def pair(self, step: int) -> Pair:
        """Draw the pair of a step."""
        return self.heads.training_pair(self.settings.moves, Random(self.seed * 1_000_003 + step))

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return mean figures of validation pairs.

        Returns
        -------
        dict
            `score`: 1 - Dice. `dice`, `before`: mean label Dice after registration and of the pair as it came. `folds`:
            voxels whose determinant is not positive. `spread`: standard deviation of log J in the fixed brain.
        """
        totals: dict[str, list[float]] = {}
        held = self.pack.scans.validation
        for number in range(self.settings.validation_pairs):
            fixed, moving = held[number % len(held)], held[(number + 1) % len(held)]
            pair = self.heads.pair(fixed, moving, self.settings.moves, Random(HELD_SEED + number))
            for name, value in self._figures(model(pair.images).float(), pair).items():
                totals.setdefault(name, []).append(value)
        found = {name: sum(values) / len(values) for name, values in totals.items()}
        return {"score": 1 - found["dice"], **found}

    def _figures(self, displacement_mm: Tensor, pair: Pair) -> dict[str, float]:
        fine_mm = self.settings.network.spacing_mm / 2
        displacement_mm = functional.interpolate(
            displacement_mm, scale_factor=2.0, mode="trilinear", align_corners=False
        )
        fixed, moving = pair.fixed_labels, pair.moving_labels
        moved = nearest(moving, displacement_mm / fine_mm)
        determinant = losses.jacobian(displacement_mm, fine_mm)
        return {
            "dice": hard_dice(fixed[0], moved[0], moving[0]),
            "before": hard_dice(fixed[0], moving[0], moving[0]),
            "folds": float((determinant <= 0).sum()),
            "spread": float(losses.log_jacobian_spread(determinant, (fixed > 0)[:, 1:-1, 1:-1, 1:-1])[0]),
        }


def correlation(fixed: Tensor, moved: Tensor, where: Tensor) -> Tensor:
    """Return the correlation of images where it counts, (N,); all (N, 1, D, H, W)."""
    weight = where.flatten(1).float()
    total = weight.sum(1, keepdim=True).clamp_min(1)
    a, b = ((x - (x * weight).sum(1, keepdim=True) / total) * weight for x in (fixed.flatten(1), moved.flatten(1)))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-6).sqrt()


def nearest(labels: Tensor, steps: Tensor) -> Tensor:
    """Return labels (N, D, H, W) where displacements in voxels (N, 3, D, H, W), (x, y, z), point to; 0 outside."""
    depth, height, width = labels.shape[1:]
    z, y, x = torch.meshgrid(*(torch.arange(k, device=labels.device) for k in (depth, height, width)), indexing="ij")
    to_x, to_y, to_z = ((start + steps[:, axis]).round().long() for axis, start in enumerate((x, y, z)))
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height) & (to_z >= 0) & (to_z < depth)
    flat = ((to_z * height + to_y) * width + to_x).clamp(0, depth * height * width - 1).flatten(1)
    return torch.where(inside, labels.flatten(1).gather(1, flat).reshape(labels.shape), 0)
