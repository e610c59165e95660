"""A training run of the velocity network: its settings, its loss, and what it keeps."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from stnreg.networks.velocity import VelocityNet, VelocityShape
from stnreg.training.checkpoint import load_into
from stnreg.training.deformable.batch import Batch
from stnreg.training.deformable.objective import LossSettings, Smoothness, batch_loss
from stnreg.training.deformable.steps import Budget, PackRun, Schedule
from stnreg.training.deformable.subjects import Pack
from stnreg.training.deformable.validate import validate


@dataclass(frozen=True)
class TrainSettings(Schedule):
    """A whole run.

    Attributes
    ----------
    smoothness : float
        Weight of smoothness at the start.
    start_share : float
        Of the weights that a run starts from in those that it leaves: a network that was trained on for something new
        keeps what it knew (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
    validation_pairs : int
    network : VelocityShape
    loss : LossSettings
    """

    steps: int = 3544
    rate: float = 1.2e-3
    smoothness: float = 0.3
    start_share: float = 0.0
    validation_pairs: int = 16
    network: VelocityShape = field(default_factory=VelocityShape)
    loss: LossSettings = field(default_factory=LossSettings)


class Run(PackRun[VelocityNet]):
    """A run in progress, with the weight of smoothness."""

    settings: TrainSettings

    def __init__(
        self,
        pack: Pack,
        settings: TrainSettings,
        device: torch.device,
        budget: Budget,
        about: dict[str, Any] | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        super().__init__("velocity", VelocityNet(settings.network), pack, settings, device, budget, about)
        self.start: dict[str, Tensor] = {}
        self.smoothness = Smoothness(settings.smoothness, settings.loss.spread, floor=settings.loss.floor)

    def start_from(self, weights: dict[str, Tensor], path: str) -> None:
        """Begin with given weights."""
        load_into(self.network, weights, path)
        self.ema, self.start = self.weights(), self.weights()

    def left(self) -> dict[str, Tensor]:
        """Return the weights that the run leaves: the running mean, with its share of those it started from."""
        share = self.settings.start_share if self.start else 0.0
        return {n: v.lerp(self.start[n], share) if share and v.is_floating_point() else v for n, v in self.ema.items()}

    def losses(self, batch: Batch, half: bool) -> dict[str, Tensor]:
        """Return the loss of a batch and its parts."""
        return batch_loss(self.network, batch, self.pack, self.settings.loss, self.smoothness.weight, half)

    def follow(self, figures: dict[str, float]) -> None:
        """Let smoothness follow how far the network spreads the Jacobian."""
        self.smoothness.follow(figures["spread"])

    def advance(self) -> dict[str, float]:
        """Take one step, and return its figures."""
        return {**super().advance(), "smoothness": self.smoothness.weight}

    def validate(self) -> dict[str, float]:
        """Return the figures of what the run leaves on validation pairs, and let smoothness learn from them."""
        with self.as_left():
            passes = self.settings.loss.passes
            self.scores = validate(self.network, self.pack, self.settings.validation_pairs, passes=passes)
        self.smoothness.correct(self.scores.get("spread", 0.0), self.settings.loss.spread)
        return {**self.scores, "target": self.smoothness.target, "s": self.budget.elapsed}

    def extra(self) -> dict[str, Any]:
        """Return the weights that the run started from, and the weight of smoothness."""
        return {"start": self.start, "smoothness": asdict(self.smoothness)}

    def restore(self, content: dict[str, Any]) -> None:
        """Go on where `save` left off."""
        super().restore(content)
        self.start = {name: value.to(self.device) for name, value in content["start"].items()}
        self.smoothness = Smoothness(**content["smoothness"])
