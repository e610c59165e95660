"""The task `linear-deformable`: similarity, and a pull of the affine and of the gradients towards the identity."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stnreg.networks.linear_deformable import SHIFT_MM, LinearDeformableNet, LinearDeformableShape
from stnreg.training.related.heads import Moves, Pair
from stnreg.training.related.task import RelatedTask, Similarity


@dataclass(frozen=True)
class LinearDeformableSettings:
    """Settings of the task.

    Attributes
    ----------
    network : LinearDeformableShape
    similarity : Similarity
    affine, gradients : float
        Weights of the mean absolute difference of the affine from the identity, and of the gradients from 1.
    moves : Moves
        Heads differ as those do that were only centred: by how they nod, above all.
    validation_pairs : int
    """

    network: LinearDeformableShape = field(default_factory=LinearDeformableShape)
    similarity: Similarity = field(default_factory=lambda: Similarity("both"))
    affine: float = 0.05
    gradients: float = 0.2
    moves: Moves = field(default_factory=lambda: Moves((14.0, 4.0, 4.0), 3.0, 0.08))
    validation_pairs: int = 8


class LinearDeformableTask(RelatedTask):
    """Trains without supervision, affine and deformation together."""

    def build(self) -> LinearDeformableNet:
        """Return a new network."""
        return LinearDeformableNet(self.settings.network)

    def parts(self, model: Any, pair: Pair) -> dict[str, Tensor]:
        """Return similarity and the distances from the identity."""
        s: LinearDeformableSettings = self.settings
        affine, gradients = model.parts(pair.images)
        likeness = s.similarity.of_pair(pair, model.displacement(affine, gradients), s.network.spacing_mm)
        away = affine - torch.eye(3, 4, device=affine.device)
        linear = (away * away.new_tensor([1.0, 1.0, 1.0, 1 / SHIFT_MM])).abs().mean()
        bent = (gradients - 1).abs().mean()
        loss = likeness + s.affine * linear + s.gradients * bent
        return {"loss": loss, "likeness": likeness, "affine": linear, "gradients": bent}
