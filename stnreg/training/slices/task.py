"""The training task of slice networks: pairs of axial slices under known rigid moves, loss, validation."""

import math

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from stnreg.networks.slices import (
    SliceNet,
    compose_slices,
    invert_slices,
    slice_parameters,
    slice_theta,
)
from stnreg.training.augment import step_generator, uniform
from stnreg.training.data import Scans
from stnreg.training.slices.settings import SliceConfig

VALIDATION_SEED = 30_000


class SliceTask:
    """Trains a `SliceNet` on slices of packed scans; a `TrainingTask`."""

    name = "slices"

    def __init__(self, config: SliceConfig, scans: Scans, *, seed: int) -> None:
        self.config, self.scans, self.seed = config, scans, seed
        self.half_edge_mm = scans.extent_mm / 2

    def build(self) -> nn.Module:
        """Return a new network, which returns the identity."""
        return SliceNet(self.config.model)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return `loss` and its terms."""
        generator = step_generator(self.seed, step)
        device = next(model.parameters()).device
        count = self.config.batch // 2 if self.config.both_ways else self.config.batch
        pairs, truth = self.draw(generator, count, self.scans.training)
        if self.config.both_ways:
            pairs = torch.cat([pairs, pairs.flip(1)])
            truth = torch.cat([truth, slice_parameters(invert_slices(slice_theta(truth)))])
        pairs, truth = self._augmented(pairs, generator).to(device), truth.to(device)
        found = model(torch.cat([pairs, pairs.flip(1)]) if self.config.consistency else pairs)
        there, *back = found.split(len(pairs))
        parts = {"parameters": (there - truth).square().mean()}
        total = parts["parameters"]
        if self.config.consistency:
            closed = slice_parameters(compose_slices(slice_theta(back[0]), slice_theta(there)))
            parts["inverse_consistency"] = closed.square().mean()
            total = total + self.config.consistency * parts["inverse_consistency"]
        return {"loss": total, **parts}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return mean absolute errors on fixed validation pairs; `score` is that of all parameters."""
        device = next(model.parameters()).device
        generator = step_generator(VALIDATION_SEED, 0)
        pairs, truth = self.draw(generator, self.config.validation_pairs, self.scans.validation)
        error = (model(pairs.to(device)).cpu() - truth).abs().mean(0)
        pixels = self.config.model.size / 2
        figures = {"rotation_deg": math.degrees(error[0]), "x_pixels": float(error[1]) * pixels}
        return {"score": float(error.mean()), **figures, "y_pixels": float(error[2]) * pixels}

    def draw(self, generator: Generator, count: int, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Draw pairs of one slice under two moves.

        Returns
        -------
        pairs : (count, 2, H, W) float32
        truth : (count, 3)
            Fixed to moving: rotation, rad, and translation, half-edges.
        """
        edge = self.scans.images.shape[1]
        scan = torch.from_numpy(chosen)[torch.randint(len(chosen), (count,), generator=generator)]
        place = edge / 2 + uniform(generator, count) * edge * self.config.middle / 2
        drawn = [self.scans.images[s, z] for s, z in zip(scan.tolist(), place.long().tolist(), strict=True)]
        slices = torch.from_numpy(np.stack(drawn).astype(np.float32))[:, None] / 255
        fixed_to_scan = slice_theta(self._moves(generator, count, 0.5))
        moving_to_scan = slice_theta(self._moves(generator, count, 1.0))
        moved = [_warp(slices, theta, self.config.model.size) for theta in (fixed_to_scan, moving_to_scan)]
        truth = compose_slices(invert_slices(moving_to_scan), fixed_to_scan)
        return torch.cat(moved, dim=1), slice_parameters(truth)

    def _moves(self, generator: Generator, count: int, amount: float) -> Tensor:
        c = self.config
        ranges = [math.radians(c.rotation_deg), *[c.translation_mm / self.half_edge_mm] * 2]
        return uniform(generator, count, 3) * torch.tensor(ranges) * amount

    def _augmented(self, pairs: Tensor, generator: Generator) -> Tensor:
        power = torch.exp(uniform(generator, *pairs.shape[:2], 1, 1) * self.config.gamma)
        return pairs.clamp(min=0) ** power + torch.randn(pairs.shape, generator=generator) * self.config.noise


def _warp(slices: Tensor, theta: Tensor, size: int) -> Tensor:
    """Warp slices (N, 1, H, W) by theta (N, 2, 3): linear interpolation, zero outside."""
    grid = functional.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)
    return functional.grid_sample(slices, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
