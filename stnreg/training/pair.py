"""The task of registering two images: batches, loss and validation score of the pair networks."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn

from stnreg.model.localisation import PairNet
from stnreg.model.losses import grid_point_error, inverse_consistency, lattice_points, mse
from stnreg.model.sampling import compose_theta, identity_theta, invert_theta, warp
from stnreg.training.augment import corrupt, curriculum, random_moves, step_generator
from stnreg.training.config import AugmentConfig, PairConfig
from stnreg.training.data import Scans

FLOATS_LIMIT_BYTES = 2**31  # scans are kept as float32 up to here, which is faster, and as bytes beyond
VALIDATION_SEED = 20_000
VALIDATION_PAIRS = 12  # of each kind
VALIDATION_AMOUNT = 2 / 3  # of the full moves: 30 of 45 degrees


@dataclass(frozen=True)
class Batch:
    """Pairs of one step.

    Attributes
    ----------
    fixed, moving : (N, 1, D, D, D) float32
        What the loss compares.
    seen : (N, 2, D, D, D) float32
        What the network is shown: the same, corrupted.
    truth : (N, 3, 4)
        Known map, fixed to moving, of the pairs that are one scan twice.
    is_same : (N,) bool
        Which pairs those are.
    """

    fixed: Tensor
    moving: Tensor
    seen: Tensor
    truth: Tensor
    is_same: Tensor


class PairTask:
    """Trains a `PairNet` on packed scans with random moves; a `Task` of the loop."""

    name = "pair"

    def __init__(self, config: PairConfig, scans: Scans, *, seed: int, steps: int) -> None:
        self.config, self.scans, self.seed, self.steps = config, scans, seed, steps
        self.half_edge_mm = scans.extent_mm / 2
        self.points = lattice_points()
        fits = scans.images.size * 4 < FLOATS_LIMIT_BYTES
        self._floats = torch.from_numpy(scans.images.astype(np.float32)) / 255 if fits else None

    def build(self) -> nn.Module:
        """Return a fresh network: the identity, whatever it sees."""
        return PairNet(self.config.model)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return `loss`, what it is made of, and the moves' range in degrees, for one step's batch."""
        device = next(model.parameters()).device
        amount = curriculum(self.config.moves, step / self.steps)
        generator = step_generator(self.seed, step)
        batch = self._batch(generator, self.config.batch, amount, self.config.same_share)
        batch = _to(_corrupted(batch, generator, self.config.augment), device)
        theta = model(batch.seen)
        similarity = mse(warp(batch.moving, theta), batch.fixed)
        weights = self.config.loss
        total = weights.mse * similarity
        points = self.points.to(device)
        parts = {"mse": similarity}
        if weights.grid_point:
            error = grid_point_error(theta, batch.truth, points) * batch.is_same
            parts["grid_point"] = error.sum() / batch.is_same.sum().clamp(min=1)
            total = total + weights.grid_point * parts["grid_point"]
        if weights.inverse_consistency:
            parts["inverse_consistency"] = inverse_consistency(theta, model(batch.seen.flip(1)), points).mean()
            total = total + weights.inverse_consistency * parts["inverse_consistency"]
        range_deg = torch.tensor(amount * self.config.moves.rotation_deg)
        return {"loss": total, **parts, "rotation_range_deg": range_deg}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the figures of fixed validation pairs: two people, and one person moved.

        `score` is the mean squared error over both kinds after one pass; `error_mm` is the mean distance from
        the known map over a lattice, for one person moved; `_3` marks a cascade of three.
        """
        device = next(model.parameters()).device
        figures: dict[str, float] = {}
        for kind, same_share in (("two", 0.0), ("same", 1.0)):
            generator = step_generator(VALIDATION_SEED, int(same_share))
            batch = self._batch(generator, VALIDATION_PAIRS, VALIDATION_AMOUNT, same_share, validation=True)
            theta = identity_theta(VALIDATION_PAIRS)
            for passes in range(4):
                moved = warp(batch.moving, theta)
                suffix = {0: "_before", 1: "", 3: "_3"}.get(passes)
                if suffix is not None:
                    figures[f"mse_{kind}{suffix}"] = float(mse(moved, batch.fixed))
                    if kind == "same":
                        error = grid_point_error(theta, batch.truth, self.points).mean()
                        figures[f"error_mm{suffix}"] = float(error) * self.half_edge_mm
                if passes < 3:
                    update = model(torch.cat([batch.fixed, moved], dim=1).to(device)).cpu()
                    theta = compose_theta(theta, update)
        return {"score": (figures["mse_two"] + figures["mse_same"]) / 2, **figures}

    def _batch(
        self, generator: Generator, count: int, amount: float, same_share: float, *, validation: bool = False
    ) -> Batch:
        """Draw `count` pairs: choose scans and move both; in training every pair is used in both directions."""
        is_both_ways = self.config.both_ways and not validation
        drawn = (count + 1) // 2 if is_both_ways else count
        fixed_index, moving_index = self._choose(generator, drawn, same_share, validation)
        moves = self.config.moves
        fixed_to_scan = random_moves(generator, drawn, moves, self.half_edge_mm, amount * moves.pose)
        moving_to_scan = random_moves(generator, drawn, moves, self.half_edge_mm, amount)
        fixed = self._move(fixed_index, fixed_to_scan)
        moving = self._move(moving_index, moving_to_scan)
        truth = compose_theta(invert_theta(moving_to_scan), fixed_to_scan)
        is_same = fixed_index == moving_index
        batch = Batch(fixed, moving, torch.cat([fixed, moving], dim=1), truth, is_same)
        return _both_ways(batch, count) if is_both_ways else batch

    def _choose(self, generator: Generator, count: int, same_share: float, validation: bool) -> tuple[Tensor, Tensor]:
        """Draw the scans of `count` pairs: two (count,) tensors of indices."""
        pool = torch.from_numpy(self.scans.validation if validation else self.scans.training)
        is_same = torch.rand(count, generator=generator) < same_share
        if len(self.scans.pairs) and not validation:
            rows = torch.randint(len(self.scans.pairs), (count,), generator=generator)
            fixed, moving = torch.from_numpy(self.scans.pairs)[rows].unbind(1)
        else:
            first = torch.randint(len(pool), (count,), generator=generator)
            step = torch.randint(1, max(len(pool), 2), (count,), generator=generator)
            fixed, moving = pool[first], pool[(first + step) % len(pool)]
        return fixed, torch.where(is_same, fixed, moving)

    def _move(self, index: Tensor, theta: Tensor) -> Tensor:
        """Sample scans through `theta` (N, 3, 4) at the network's size: (N, 1, D, D, D) float32 in [0, 1]."""
        size = self.config.model.size
        # One at a time: a batch of scans at their own resolution would be copied, which costs more than sampling.
        moved = [warp(self._image(k), theta[n : n + 1], size) for n, k in enumerate(index.tolist())]
        return torch.cat(moved)

    def _image(self, index: int) -> Tensor:
        """Return one scan as (1, 1, P, P, P) float32 in [0, 1]."""
        if self._floats is not None:
            return self._floats[index][None, None]
        return torch.from_numpy(self.scans.images[index])[None, None].float() / 255


def _both_ways(batch: Batch, count: int) -> Batch:
    """Add every pair with its images exchanged, and keep the first `count`."""
    return Batch(
        fixed=torch.cat([batch.fixed, batch.moving])[:count],
        moving=torch.cat([batch.moving, batch.fixed])[:count],
        seen=torch.cat([batch.seen, batch.seen.flip(1)])[:count],
        truth=torch.cat([batch.truth, invert_theta(batch.truth)])[:count],
        is_same=torch.cat([batch.is_same, batch.is_same])[:count],
    )


def _corrupted(batch: Batch, generator: Generator, config: AugmentConfig) -> Batch:
    """Let the network see the images through another contrast, noise and field of view."""
    seen = corrupt(batch.seen.flatten(0, 1), generator, config).reshape(batch.seen.shape)
    return replace(batch, seen=seen)


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})
