"""A training run of the velocity network: its settings, its budget, its steps, and what it keeps."""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stnreg.networks.velocity import Encoder, VelocityNet, VelocityShape
from stnreg.training.checkpoint import load_into, save_checkpoint
from stnreg.training.deformable.batch import BatchSettings, make_batch
from stnreg.training.deformable.objective import LossSettings, Smoothness, batch_loss
from stnreg.training.deformable.subjects import Pack
from stnreg.training.deformable.validate import validate


@dataclass(frozen=True)
class TrainSettings:
    """A whole run.

    Attributes
    ----------
    steps : int
        Of the whole run.
    minutes : float
        Time to train for in place of steps; 0 leaves it to the steps.
    rate : float
        Adam's, at its highest.
    warmup, ema, clip : float
        Share of the budget in which the rate rises; share of the running mean kept per step; largest gradient norm.
    smoothness : float
        Weight of smoothness at the start.
    start_share : float
        Of the weights that a run starts from in those that it leaves: a network that was trained on for something new
        keeps what it knew (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
    half : bool
        Convolutions in bfloat16.
    """

    seed: int = 1
    steps: int = 3544
    minutes: float = 0.0
    rate: float = 1.2e-3
    warmup: float = 0.04
    ema: float = 0.997
    clip: float = 1.0
    decay: float = 1e-4
    smoothness: float = 0.3
    start_share: float = 0.0
    half: bool = True
    validation_pairs: int = 16
    network: VelocityShape = field(default_factory=VelocityShape)
    batch: BatchSettings = field(default_factory=BatchSettings)
    loss: LossSettings = field(default_factory=LossSettings)


@dataclass
class Budget:
    """How much of a run is over: by steps, or by time with what earlier runs took."""

    steps: int | None
    seconds: float | None  # of the whole run, those before it was resumed counted in
    began: float
    before: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, those before it was resumed counted in."""
        return self.before + time.monotonic() - self.began

    def share(self, step: int) -> float:
        """Return how much of it is spent, 0 to 1."""
        return min(step / self.steps if self.steps else self.elapsed / (self.seconds or 1.0), 1.0)


class Averaged:
    """A network in training and the running mean of its weights, which is what a run leaves."""

    network: nn.Module
    ema: dict[str, Tensor]
    step: int

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the network's weights."""
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    @torch.no_grad()
    def average(self, most: float) -> None:
        """Move the running mean towards the weights; it keeps at most that share of itself, and less at first."""
        keep = min(most, (1 + self.step) / (10 + self.step))
        own = self.network.state_dict()
        torch._foreach_lerp_([self.ema[n] for n in own], list(own.values()), 1 - keep)


class Run(Averaged):
    """A run in progress: the network, its running mean, the optimiser, the weight of smoothness."""

    network: VelocityNet

    def __init__(
        self,
        pack: Pack,
        settings: TrainSettings,
        device: torch.device,
        budget: Budget,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.pack, self.settings, self.device, self.budget = pack, settings, device, budget
        self.about = about or {}  # what the sidecar will say beside the settings: data and terms, where it started
        torch.manual_seed(settings.seed)
        self.network = VelocityNet(settings.network)
        start_encoder(self.network.encoder, pack.encoder)
        self.network.to(device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.rate, weight_decay=settings.decay, fused=device.type == "cuda"
        )
        self.ema = self.weights()
        self.start: dict[str, Tensor] = {}
        self.smoothness = Smoothness(settings.smoothness, settings.loss.spread, floor=settings.loss.floor)
        self.step = self.skipped = 0
        self.scores: dict[str, float] = {}

    def start_from(self, weights: dict[str, Tensor], path: str) -> None:
        """Begin with given weights."""
        load_into(self.network, weights, path)
        self.ema, self.start = self.weights(), self.weights()

    def left(self) -> dict[str, Tensor]:
        """Return the weights that the run leaves: the running mean, with its share of those it started from."""
        share = self.settings.start_share if self.start else 0.0
        return {n: v.lerp(self.start[n], share) if share and v.is_floating_point() else v for n, v in self.ema.items()}

    def advance(self) -> dict[str, float]:
        """Take one step; one whose gradient is not finite is left out. Returns its figures."""
        s = self.settings
        generator = torch.Generator(self.device).manual_seed(s.seed * 1_000_003 + self.step)
        share = self.budget.share(self.step)
        rate = s.rate * min(share / s.warmup if s.warmup else 1.0, 0.5 + 0.5 * math.cos(math.pi * share))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            batch = make_batch(self.pack, s.batch, s.network.shape, s.network.spacing_mm, generator)
        half = s.half and self.skipped <= 10 + self.step // 10  # else it is not to be trusted here
        parts = batch_loss(self.network, batch, self.pack, s.loss, self.smoothness.weight, half)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), s.clip)
        figures = dict(zip(parts, torch.stack([v.detach().float() for v in parts.values()]).tolist(), strict=True))
        if math.isfinite(float(norm)) and math.isfinite(figures["loss"]):
            self.optimizer.step()
            self.average(s.ema)
            self.smoothness.follow(figures["spread"])
        else:
            self.skipped += 1
        self.step += 1
        extra = {"rate": rate, "norm": float(norm), "smoothness": self.smoothness.weight, "skipped": self.skipped}
        return {**figures, **extra}

    def validate(self) -> dict[str, float]:
        """Return the figures of what the run leaves on validation pairs, and let smoothness learn from them."""
        own = self.weights()
        self.network.load_state_dict(self.left())
        self.network.eval()
        try:
            passes = self.settings.loss.passes
            self.scores = validate(self.network, self.pack, self.settings.validation_pairs, passes=passes)
        finally:
            self.network.load_state_dict(own)
            self.network.train()
        self.smoothness.correct(self.scores.get("spread", 0.0), self.settings.loss.spread)
        return {**self.scores, "target": self.smoothness.target, "s": self.budget.elapsed}

    def save(self, weights: Path, kept: Path) -> None:
        """Write the weights to use, and everything that the run needs to go on."""
        config = {**plain(asdict(self.settings)), **self.about}
        said = {"task": "velocity", "config": config, "step": self.step, "scores": self.scores}
        save_checkpoint(weights, {**said, "model": {n: v.float().cpu() for n, v in self.left().items()}, "ema": None})
        content = {
            **said,
            "model": self.network.state_dict(),
            "ema": self.ema,
            "start": self.start,
            "optimizer": self.optimizer.state_dict(),
            "smoothness": asdict(self.smoothness),
            "elapsed": self.budget.elapsed,
        }
        save_checkpoint(kept, content)

    def restore(self, content: dict[str, Any]) -> None:
        """Go on where `save` left off."""
        self.network.load_state_dict(content["model"])
        self.ema = {name: value.to(self.device) for name, value in content["ema"].items()}
        self.start = {name: value.to(self.device) for name, value in content["start"].items()}
        self.optimizer.load_state_dict(content["optimizer"])
        self.smoothness = Smoothness(**content["smoothness"])
        self.step, self.scores = content["step"], content["scores"]
        self.budget.before = content["elapsed"]


def start_encoder(encoder: Encoder, weights: dict[str, Tensor]) -> None:
    """Start an encoder from the anatomy network's weights, where they fit; its maps are others."""
    own = encoder.state_dict()
    fitting = {n: v for n, v in weights.items() if n in own and own[n].shape == v.shape and not n.startswith("head.")}
    encoder.load_state_dict(own | fitting)


def plain(value: Any) -> Any:
    """Return nested settings with tuples as lists, as `weights_only` loading and JSON want them."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def shape_of(config: dict[str, Any]) -> VelocityShape:
    """Return what rebuilds the network, from the config of a checkpoint."""
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in config["network"].items()}
    return VelocityShape(**values)
