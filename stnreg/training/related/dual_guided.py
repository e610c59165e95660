"""The task `dual-guided`: patches, guided by the fields of another method and by image similarity, at every level."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnreg.networks.dual_guided import DualGuidedNet, DualGuidedShape
from stnreg.networks.velocity import warp
from stnreg.training.deformable import losses
from stnreg.training.deformable.subjects import Pack
from stnreg.training.related.guidance import Guidance, load_guidance
from stnreg.training.related.heads import Moves
from stnreg.training.related.task import RelatedTask, Similarity


@dataclass(frozen=True)
class DualGuidedSettings:
    """Settings of the task.

    Attributes
    ----------
    network : DualGuidedShape
    similarity : Similarity
        Squared differences, as published.
    guided_pairs : int
        Pairs of training scans whose fields guide, each in both directions.
    first, last : float
        Share of the guidance by fields in the loss at the start and at the end; the rest is similarity.
    similar : float
        Weight of the similarity beside a mean squared error of 1 mm^2 from the fields.
    smoothness : float
        Weight of the mean squared slope of the displacement.
    patch, margin, patches : int
        Edge of a patch, its rim that is seen but not supervised, voxels; patches in a step, all of one pair.
    moves : Moves
        None: heads come as their affines have put them into the frame.
    validation_pairs : int
    """

    network: DualGuidedShape = field(default_factory=DualGuidedShape)
    similarity: Similarity = field(default_factory=lambda: Similarity("squared"))
    guided_pairs: int = 24
    first: float = 0.9
    last: float = 0.3
    similar: float = 40.0
    smoothness: float = 1.0
    patch: int = 32
    margin: int = 4
    patches: int = 2
    moves: Moves = field(default_factory=Moves)
    validation_pairs: int = 8


@dataclass
class Patches:
    """Patches of one pair.

    Attributes
    ----------
    pair : (N, 2, P, P, P) float32
    brain : (N, 1, P, P, P) bool
        Of the fixed head.
    guide : (N, 3, P, P, P) float32
        Displacements of the other method, mm.
    """

    pair: Tensor
    brain: Tensor
    guide: Tensor


class DualGuidedTask(RelatedTask):
    """Trains on patches of pairs whose fields are known from another method."""

    guidance: Guidance

    def __init__(
        self, name: str, settings: DualGuidedSettings, pack: Pack, seed: int, steps: int, guides: Path
    ) -> None:
        super().__init__(name, settings, pack, seed, steps)
        self.guidance = load_guidance(guides)

    def build(self) -> DualGuidedNet:
        """Return a new network."""
        return DualGuidedNet(self.settings.network)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return the terms of the loss at a step; guidance gives way to similarity during the run."""
        s: DualGuidedSettings = self.settings
        share = s.first + (s.last - s.first) * min(step / max(self.steps, 1), 1.0)
        patches = self.patches(step)
        guided, similar, slope = (torch.zeros((), device=patches.pair.device) for _ in range(3))
        levels = model.levels(patches.pair)  # type: ignore[operator]
        for level, displacement in enumerate(levels):
            spacing_mm = s.network.spacing_mm * 2**level
            here = self._at(patches, level)
            inner = self._inner(here.brain, level)
            off = (displacement - here.guide).square().sum(1, keepdim=True)
            guided = guided + (off * inner).sum() / inner.sum().clamp_min(1) / len(levels)
            moved = warp(here.pair[:, 1:], displacement, spacing_mm)
            similar = similar + s.similarity.loss(here.pair[:, :1], moved, inner) / len(levels)
            slope = slope + losses.unevenness(displacement, spacing_mm) / len(levels)
        loss = share * guided + (1 - share) * s.similar * similar + s.smoothness * slope
        return {"loss": loss, "guided": guided, "similar": similar, "slope": slope}

    def _at(self, patches: Patches, level: int) -> Patches:
        """Return patches at a level: means of blocks of voxels."""
        if level == 0:
            return patches
        pair, guide = (functional.avg_pool3d(x, 2**level) for x in (patches.pair, patches.guide))
        return Patches(pair, functional.avg_pool3d(patches.brain.float(), 2**level) > 0.5, guide)

    def _inner(self, brain: Tensor, level: int) -> Tensor:
        """Return the brain without the rim of the patch."""
        rim = self.settings.margin // 2**level
        kept = torch.zeros_like(brain)
        inner = slice(rim, brain.shape[-1] - rim)
        kept[..., inner, inner, inner] = True
        return brain & kept

    @torch.no_grad()
    def patches(self, step: int) -> Patches:
        """Draw patches of one pair, about voxels of the fixed brain; a function of seed and step alone."""
        s: DualGuidedSettings = self.settings
        draw = random.Random(self.seed * 1_000_003 + step)
        number = draw.randrange(len(self.guidance.pairs))
        a, b = self.guidance.pairs[number]
        fixed, moving = self.heads.head(a), self.heads.head(b)
        shape = s.network.shape
        guide = self.guidance.field(number, shape, fixed.image.device)
        found = []
        for _ in range(s.patches):
            corner = [draw.randrange(0, max(n - s.patch, 0) + 1) for n in shape]
            z, y, x = (slice(c, c + s.patch) for c in corner)
            pair = torch.cat([fixed.image, moving.image], 1)[:, :, z, y, x]
            found.append((pair, fixed.brain[:, :, z, y, x], guide[:, :, z, y, x]))
        pair, inside, field_mm = (torch.cat(parts) for parts in zip(*found, strict=True))
        gain = 1 + 0.1 * (2 * torch.tensor([draw.random(), draw.random()], device=pair.device) - 1)
        pair = pair * gain.view(1, 2, 1, 1, 1)
        if draw.random() < 0.5:  # mirrored
            pair, inside, field_mm = (x.flip(4) for x in (pair, inside, field_mm))
            field_mm = field_mm * field_mm.new_tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1, 1)
        return Patches(pair, inside, field_mm)
