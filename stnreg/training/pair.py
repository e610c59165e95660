"""The task of registering two images: batches, loss and validation score of the pair networks."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn

from stnreg.networks.losses import grid_point_error, inverse_consistency, lattice_points, mse, parameter_error
from stnreg.networks.pair import PairNet
from stnreg.networks.spatial_transformer import compose_theta, identity_theta, invert_theta, warp
from stnreg.training.augment import corrupt, curriculum, random_moves, step_generator
from stnreg.training.config import PairConfig
from stnreg.training.data import Scans
from stnreg.training.processes import Processes

FLOATS_LIMIT_BYTES = 2**31  # scans are kept as float32 up to here, which is faster, and as bytes beyond
VALIDATION_SEED = 20_000
VALIDATION_AMOUNT = 2 / 3  # of the full moves: 30 of 45 degrees
ALONE = Processes()


@dataclass(frozen=True)
class Draw:
    """What is decided about the pairs of a step before a scan is touched.

    Attributes
    ----------
    fixed, moving : (N,) int64
        Indices of scans.
    fixed_to_scan, moving_to_scan : (N, 3, 4)
        How each image of a pair is sampled from its scan.
    truth : (N, 3, 4)
        Known map, fixed to moving; of no meaning where it is not known.
    is_known : (N,) bool
    number : (N,) int64
        Of the pair in the step, whichever process takes it.
    """

    fixed: Tensor
    moving: Tensor
    fixed_to_scan: Tensor
    moving_to_scan: Tensor
    truth: Tensor
    is_known: Tensor
    number: Tensor

    def share(self, processes: Processes) -> "Draw":
        """Return the pairs that this process takes."""
        return Draw(*processes.share(*(getattr(self, field.name) for field in fields(self))))


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
        Known map, fixed to moving, of the pairs where there is one.
    is_known : (N,) bool
        Which pairs those are.
    number : (N,) int64
        Of the pair in the step.
    """

    fixed: Tensor
    moving: Tensor
    seen: Tensor
    truth: Tensor
    is_known: Tensor
    number: Tensor


class PairTask:
    """Trains a `PairNet` on packed scans with random moves; a `Task` of the loop."""

    name = "pair"

    def __init__(
        self, config: PairConfig, scans: Scans, *, seed: int, steps: int, processes: Processes = ALONE
    ) -> None:
        self.config, self.scans, self.seed, self.steps, self.processes = config, scans, seed, steps, processes
        self.half_edge_mm = scans.extent_mm / 2
        self.points = lattice_points()
        fits = scans.images.size * 4 < FLOATS_LIMIT_BYTES
        self._floats = torch.from_numpy(scans.images.astype(np.float32)) / 255 if fits else None

    def build(self) -> nn.Module:
        """Return a fresh network: the identity, whatever it sees."""
        return PairNet(self.config.model)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return `loss`, what it is made of, and the moves' range in degrees, for this process' share of a step."""
        device = next(model.parameters()).device
        amount = curriculum(self.config.moves, step / self.steps)
        draw = self._draw(step_generator(self.seed, step), self.config.batch, amount, self.config.same_share)
        # Shares are averaged over the processes, so each divides by its part of all known pairs.
        known_pairs = max(int(draw.is_known.sum()), 1) / self.processes.count * (2 if self._is_doubled else 1)
        batch = self._sample(draw.share(self.processes))
        batch = self._corrupted(_both_ways(batch, self.config.batch) if self._is_doubled else batch, step)
        parts = self._parts(model, _to(batch, device), known_pairs, passes=1 + step % self.config.cascade)
        weights = self.config.loss
        total = sum(getattr(weights, name) * value for name, value in parts.items())
        range_deg = torch.tensor(amount * self.config.moves.rotation_deg)
        return {"loss": total, **parts, "rotation_range_deg": range_deg}

    def _parts(self, model: nn.Module, batch: Batch, known_pairs: float, passes: int) -> dict[str, Tensor]:
        """Return the terms of the loss that are asked for; the similarity always."""
        weights, points = self.config.loss, self.points.to(batch.seen.device)
        seen = batch.seen
        if weights.inverse_consistency:
            seen = torch.cat([seen, seen.flip(1)])
        theta, *backward = estimate(model, seen, passes).split(len(batch.seen))
        parts = {"mse": mse(warp(batch.moving, theta), batch.fixed)}
        if weights.grid_point:
            error = grid_point_error(theta, batch.truth, points)
            parts["grid_point"] = (error * batch.is_known).sum() / known_pairs
        if weights.parameters:
            error = parameter_error(theta, batch.truth)
            parts["parameters"] = (error * batch.is_known).sum() / known_pairs
        if weights.inverse_consistency:
            parts["inverse_consistency"] = inverse_consistency(theta, backward[0], points).mean()
        return parts

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the figures of fixed validation pairs: those given, or two people, and one person moved.

        `score` is the mean squared error over the kinds after one pass; `error_mm` is the mean distance from
        the known map over a lattice, where one is known; `_3` marks a cascade of three.
        """
        kinds = {"given": 0.0} if len(self.scans.validation_pairs) else {"two": 0.0, "same": 1.0}
        figures: dict[str, float] = {}
        for kind, same_share in kinds.items():
            generator = step_generator(VALIDATION_SEED, int(same_share))
            count = self.config.validation_pairs
            draw = self._draw(generator, count, VALIDATION_AMOUNT, same_share, validation=True)
            figures |= self._cascade(model, self._sample(draw), kind)
        score = sum(figures[f"mse_{kind}"] for kind in kinds) / len(kinds)
        return {"score": score, **figures}

    def _cascade(self, model: nn.Module, batch: Batch, kind: str) -> dict[str, float]:
        """Run up to three passes over validation pairs, and return their figures."""
        device = next(model.parameters()).device
        figures = {}
        theta = identity_theta(len(batch.fixed))
        known = batch.is_known
        for passes in range(4):
            moved = warp(batch.moving, theta)
            suffix = {0: "_before", 1: "", 3: "_3"}.get(passes)
            if suffix is not None:
                figures[f"mse_{kind}{suffix}"] = float(mse(moved, batch.fixed))
                if known.any():
                    error = grid_point_error(theta[known], batch.truth[known], self.points).mean()
                    figures[f"error_mm{suffix}"] = float(error) * self.half_edge_mm
            if passes < 3:
                pairs = torch.cat([batch.fixed, moved], dim=1).split(self.config.batch)
                theta = compose_theta(theta, torch.cat([model(part.to(device)).cpu() for part in pairs]))
        return figures

    @property
    def _is_doubled(self) -> bool:
        """Whether every training pair that is drawn is also used with its images exchanged."""
        return self.config.both_ways and self.config.batch % 2 == 0

    def _draw(
        self, generator: Generator, count: int, amount: float, same_share: float, *, validation: bool = False
    ) -> Draw:
        """Decide on `count` pairs; on half of them where the other half is their exchange."""
        drawn = count // 2 if self._is_doubled and not validation else count
        fixed, moving, given = self._choose(generator, drawn, same_share, validation)
        moves = self.config.moves
        fixed_to_scan = random_moves(generator, drawn, moves, self.half_edge_mm, amount * moves.pose)
        moving_to_scan = random_moves(generator, drawn, moves, self.half_edge_mm, amount)
        truth = compose_theta(invert_theta(moving_to_scan), given, fixed_to_scan)
        is_known = torch.isfinite(truth).all(dim=(1, 2))
        truth = torch.where(is_known[:, None, None], truth, identity_theta(drawn))  # NaN times 0 is NaN
        return Draw(fixed, moving, fixed_to_scan, moving_to_scan, truth, is_known, torch.arange(drawn))

    def _sample(self, draw: Draw) -> Batch:
        """Sample the images of pairs."""
        fixed = self._move(draw.fixed, draw.fixed_to_scan)
        moving = self._move(draw.moving, draw.moving_to_scan)
        seen = torch.cat([fixed, moving], dim=1)
        return Batch(fixed, moving, seen, draw.truth, draw.is_known, draw.number)

    def _choose(
        self, generator: Generator, count: int, same_share: float, validation: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the scans of `count` pairs: two (count,) of indices, and the known maps between them, else NaN."""
        scans = self.scans
        is_same = torch.rand(count, generator=generator) < same_share
        pairs, truths = (scans.validation_pairs, scans.validation_truths) if validation else (scans.pairs, scans.truths)
        if len(pairs):
            rows = torch.arange(count) % len(pairs)
            if not validation:
                rows = torch.randint(len(pairs), (count,), generator=generator)
            fixed, moving = torch.from_numpy(pairs)[rows].unbind(1)
            known = torch.from_numpy(truths)[rows].float()
        else:
            pool = torch.from_numpy(scans.validation if validation else scans.training)
            first = torch.randint(len(pool), (count,), generator=generator)
            step = torch.randint(1, max(len(pool), 2), (count,), generator=generator)
            fixed, moving = pool[first], pool[(first + step) % len(pool)]
            known = torch.full((count, 3, 4), torch.nan)
        moving = torch.where(is_same, fixed, moving)
        return fixed, moving, torch.where((fixed == moving)[:, None, None], identity_theta(count), known)

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
        return torch.from_numpy(self.scans.images[index].astype(np.float32))[None, None] / 255

    def _corrupted(self, batch: Batch, step: int) -> Batch:
        """Let the network see each image through another contrast, noise and field of view; by the pair's number."""
        seen = [
            corrupt(pair, step_generator(self.seed, step, int(number)), self.config.augment)
            for pair, number in zip(batch.seen, batch.number, strict=True)
        ]
        return replace(batch, seen=torch.stack(seen))


def estimate(model: nn.Module, seen: Tensor, passes: int) -> Tensor:
    """Run a cascade whose last pass alone learns, on what the earlier ones left: theta (N, 3, 4) of all together.

    Parameters
    ----------
    model : nn.Module
    seen : (N, 2, D, D, D)
        Fixed and moving image.
    passes : int
        1 or more.
    """
    if passes == 1:
        return model(seen)
    with torch.no_grad():
        before = estimate(model, seen, passes - 1)
        under_it = torch.cat([seen[:, :1], warp(seen[:, 1:], before)], dim=1)
    return compose_theta(before, model(under_it))


def _both_ways(batch: Batch, offset: int) -> Batch:
    """Add every pair with its images exchanged, numbered from `offset`."""
    return Batch(
        fixed=torch.cat([batch.fixed, batch.moving]),
        moving=torch.cat([batch.moving, batch.fixed]),
        seen=torch.cat([batch.seen, batch.seen.flip(1)]),
        truth=torch.cat([batch.truth, invert_theta(batch.truth)]),
        is_known=torch.cat([batch.is_known, batch.is_known]),
        number=torch.cat([batch.number, batch.number + offset]),
    )


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})
