"""The training task of pair networks: batches, loss, validation."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn

from stnreg.networks.losses import grid_point_error, inverse_consistency, lattice_points, mse, parameter_error
from stnreg.networks.pair import PairNet
from stnreg.networks.spatial_transformer import compose_theta, identity_theta, invert_theta, warp
from stnreg.training.augment import augment, curriculum, random_moves, step_generator
from stnreg.training.config import PairConfig
from stnreg.training.data import Scans
from stnreg.training.processes import Processes

FLOATS_LIMIT_BYTES = 2**31  # scans are stored as float32, which is faster, up to this size, otherwise as bytes
VALIDATION_SEED = 20_000
VALIDATION_AMOUNT = 2 / 3  # fraction of the full ranges: 30 of 45 degrees
ALONE = Processes()


@dataclass(frozen=True)
class Draw:
    """The random choices of the pairs of a step, before scans are resampled.

    Attributes
    ----------
    fixed, moving : (N,) int64
        Indices of scans.
    fixed_to_scan, moving_to_scan : (N, 3, 4)
        Theta by which each image is resampled from its scan.
    truth : (N, 3, 4)
        True transform, fixed to moving; undefined if unknown.
    is_known : (N,) bool
        Whether the true transform is known.
    number : (N,) int64
        Number of the pair in the step, over all processes.
    """

    fixed: Tensor
    moving: Tensor
    fixed_to_scan: Tensor
    moving_to_scan: Tensor
    truth: Tensor
    is_known: Tensor
    number: Tensor

    def shard(self, processes: Processes) -> "Draw":
        """Return the pairs that this process takes."""
        return Draw(*processes.shard(*(getattr(self, field.name) for field in fields(self))))


@dataclass(frozen=True)
class Batch:
    """Pairs of one step. Their cubes of W voxels are those of the network and the margin around them.

    Attributes
    ----------
    fixed, moving : (N, 1, W, W, W) float32
        Images of the loss.
    inputs : (N, 2, W, W, W) float32
        Inputs of the network: the same images, augmented.
    truth : (N, 3, 4)
        True transform, fixed to moving; undefined if unknown.
    is_known : (N,) bool
        Whether the true transform is known.
    number : (N,) int64
        Number of the pair in the step.
    """

    fixed: Tensor
    moving: Tensor
    inputs: Tensor
    truth: Tensor
    is_known: Tensor
    number: Tensor


class PairTask:
    """Trains a `PairNet` on packed scans with random transforms; a `TrainingTask`."""

    name = "pair"

    def __init__(
        self, config: PairConfig, scans: Scans, *, seed: int, steps: int, processes: Processes = ALONE
    ) -> None:
        self.config, self.scans, self.seed, self.steps, self.processes = config, scans, seed, steps, processes
        edge_mm = config.model.size * config.spacing_mm
        self.half_edge_mm = edge_mm / 2
        self.stored = scans.extent_mm / edge_mm  # edge of the stored cubes, of the network's
        self.points = lattice_points()
        fits = scans.images.size * 4 < FLOATS_LIMIT_BYTES
        self._floats = torch.from_numpy(scans.images.astype(np.float32)) / 255 if fits else None

    def build(self) -> nn.Module:
        """Return a new network, which returns the identity."""
        return PairNet(self.config.model)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return `loss`, its terms, and the range of rotation in degrees, for the part of this process."""
        device = next(model.parameters()).device
        amount = curriculum(self.config.moves, step / self.steps)
        draw = self._draw(step_generator(self.seed, step), self.config.batch, amount, self.config.same_share)
        # Processes average their losses, so each divides by its fraction of all known pairs.
        known_pairs = max(int(draw.is_known.sum()), 1) / self.processes.count * (2 if self._is_doubled else 1)
        batch = self._sample(draw.shard(self.processes))
        batch = self._augmented(_both_ways(batch, self.config.batch) if self._is_doubled else batch, step)
        parts = self._parts(model, _to(batch, device), known_pairs, passes=1 + step % self.config.cascade)
        weights = self.config.loss
        total = sum(getattr(weights, name) * value for name, value in parts.items())
        range_deg = torch.tensor(amount * self.config.moves.rotation_deg)
        return {"loss": total, **parts, "rotation_range_deg": range_deg}

    def _parts(self, model: nn.Module, batch: Batch, known_pairs: float, passes: int) -> dict[str, Tensor]:
        """Return the terms of the loss with non-zero weights, and always the similarity."""
        weights, points = self.config.loss, self.points.to(batch.inputs.device)
        inputs = batch.inputs
        if weights.inverse_consistency:
            inputs = torch.cat([inputs, inputs.flip(1)])
        size = self.config.model.size
        theta, *backward = estimate(model, inputs, passes, size).split(len(batch.inputs))
        with torch.set_grad_enabled(weights.mse != 0):  # as a figure alone it needs no gradient
            parts = {"mse": mse(moved_into(batch.moving, theta, size), inner(batch.fixed, size))}
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
        """Return the metrics of fixed validation pairs: the given ones, or two people, and one person transformed.

        `score` is the mean squared error over the kinds after one pass. `error_mm` is the mean error of lattice points,
        if the true transform is known. `_3` is after three passes.
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

    def known_pairs(self, generator: Generator, count: int) -> Batch:
        """Draw `count` pairs of one scan under two moves over the whole ranges, without augmentation."""
        return self._sample(self._draw(generator, count * (2 if self._is_doubled else 1), 1.0, 1.0))

    def _cascade(self, model: nn.Module, batch: Batch, kind: str) -> dict[str, float]:
        """Run up to three passes on validation pairs, and return the metrics."""
        device, size = next(model.parameters()).device, self.config.model.size
        figures = {}
        theta = identity_theta(len(batch.fixed))
        fixed = inner(batch.fixed, size)
        known = batch.is_known
        for passes in range(4):
            moved = moved_into(batch.moving, theta, size)
            suffix = {0: "_before", 1: "", 3: "_3"}.get(passes)
            if suffix is not None:
                figures[f"mse_{kind}{suffix}"] = float(mse(moved, fixed))
                if known.any():
                    error = grid_point_error(theta[known], batch.truth[known], self.points).mean()
                    figures[f"error_mm{suffix}"] = float(error) * self.half_edge_mm
            if passes < 3:
                pairs = torch.cat([fixed, moved], dim=1).split(self.config.batch)
                theta = compose_theta(theta, torch.cat([model(part.to(device)).cpu() for part in pairs]))
        return figures

    @property
    def _is_doubled(self) -> bool:
        """Whether every training pair is also used with its images exchanged."""
        return self.config.both_ways and self.config.batch % 2 == 0

    def _draw(
        self, generator: Generator, count: int, amount: float, same_share: float, *, validation: bool = False
    ) -> Draw:
        """Draw `count` pairs; half of them if the other half are the same with images exchanged."""
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
        """Resample the images of pairs."""
        fixed = self._move(draw.fixed, draw.fixed_to_scan)
        moving = self._move(draw.moving, draw.moving_to_scan)
        inputs = torch.cat([fixed, moving], dim=1)
        return Batch(fixed, moving, inputs, draw.truth, draw.is_known, draw.number)

    def _choose(
        self, generator: Generator, count: int, same_share: float, validation: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the scans of `count` pairs: two (count,) index tensors, and the true theta, NaN if unknown."""
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
        """Resample scans by `theta` (N, 3, 4) at the network's resolution: (N, 1, W, W, W) float32 in [0, 1]."""
        size = round(self.config.model.size * (1 + self.config.margin))
        theta = in_wide_units(theta, self.stored)
        theta = torch.cat([theta[:, :, :3] * (size / self.config.model.size / self.stored), theta[:, :, 3:]], dim=2)
        # One at a time: copying a batch of scans at full resolution takes longer than resampling.
        moved = [warp(self._image(k), theta[n : n + 1], size) for n, k in enumerate(index.tolist())]
        return torch.cat(moved)

    def _image(self, index: int) -> Tensor:
        """Return one scan as (1, 1, P, P, P) float32 in [0, 1]."""
        if self._floats is not None:
            return self._floats[index][None, None]
        return torch.from_numpy(self.scans.images[index].astype(np.float32))[None, None] / 255

    def _augmented(self, batch: Batch, step: int) -> Batch:
        """Augment the inputs of the network; random numbers by the number of the pair."""
        inputs = [
            augment(pair, step_generator(self.seed, step, int(number)), self.config.augment)
            for pair, number in zip(batch.inputs, batch.number, strict=True)
        ]
        return replace(batch, inputs=torch.stack(inputs))


def estimate(model: nn.Module, inputs: Tensor, passes: int, size: int) -> Tensor:
    """Run a cascade with gradients in the last pass only; return the composed theta (N, 3, 4).

    Parameters
    ----------
    model : nn.Module
    inputs : (N, 2, W, W, W)
        Fixed and moving image, with their margin.
    passes : int
        1 or more.
    size : int
        Edge of the network's cube, D <= W.
    """
    if passes == 1:
        return model(inner(inputs, size))
    with torch.no_grad():
        before = estimate(model, inputs, passes - 1, size)
        under_it = torch.cat([inner(inputs[:, :1], size), moved_into(inputs[:, 1:], before, size)], dim=1)
    return compose_theta(before, model(under_it))


def inner(images: Tensor, size: int) -> Tensor:
    """Cut the network's cubes out of images with a margin: (N, C, W, W, W) to (N, C, D, D, D)."""
    first = (images.shape[-1] - size) // 2
    return images[:, :, first : first + size, first : first + size, first : first + size]


def moved_into(images: Tensor, theta: Tensor, size: int) -> Tensor:
    """Warp images with a margin into the network's cube: (N, C, W, W, W) and (N, 3, 4) to (N, C, D, D, D)."""
    return inner(warp(images, in_wide_units(theta, images.shape[-1] / size)), size)


def in_wide_units(theta: Tensor, room: float) -> Tensor:
    """Express `theta` (N, 3, 4) of a cube in half-edges of one that is `room` times as wide, about the same centre."""
    return torch.cat([theta[:, :, :3], theta[:, :, 3:] / room], dim=2)


def _both_ways(batch: Batch, offset: int) -> Batch:
    """Append every pair with its images exchanged, numbered from `offset`."""
    return Batch(
        fixed=torch.cat([batch.fixed, batch.moving]),
        moving=torch.cat([batch.moving, batch.fixed]),
        inputs=torch.cat([batch.inputs, batch.inputs.flip(1)]),
        truth=torch.cat([batch.truth, invert_theta(batch.truth)]),
        is_known=torch.cat([batch.is_known, batch.is_known]),
        number=torch.cat([batch.number, batch.number + offset]),
    )


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})
