"""What training runs on a pack share: a schedule, a budget, steps with a running mean of the weights, checkpoints."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from stnreg.networks.synthesis import SynthesisNet
from stnreg.networks.velocity import Encoder, VelocityNet
from stnreg.training.checkpoint import save_checkpoint
from stnreg.training.deformable.batch import Batch, BatchSettings, make_batch
from stnreg.training.deformable.subjects import Pack

Shape = TypeVar("Shape")
Net = TypeVar("Net", VelocityNet, SynthesisNet)


@dataclass(frozen=True)
class Schedule:
    """How long a run takes and how it steps.

    Attributes
    ----------
    seed : int
    steps : int
        Of the whole run.
    minutes : float
        Time to train for in place of steps; 0 leaves it to the steps.
    rate : float
        Adam's, at its highest.
    warmup, ema, clip : float
        Share of the budget in which the rate rises; share of the running mean kept per step; largest gradient norm.
    decay : float
        Of the weights.
    half : bool
        Convolutions in bfloat16.
    batch : BatchSettings
    """

    seed: int = 1
    steps: int = 1000
    minutes: float = 0.0
    rate: float = 1e-3
    warmup: float = 0.04
    ema: float = 0.997
    clip: float = 1.0
    decay: float = 1e-4
    half: bool = True
    batch: BatchSettings = field(default_factory=BatchSettings)

    def rate_at(self, share: float) -> float:
        """Return the rate when a share of the budget is spent: it rises in a line, and falls along a cosine to 0."""
        return self.rate * min(share / self.warmup if self.warmup else 1.0, 0.5 + 0.5 * math.cos(math.pi * share))


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


class PackRun(ABC, Generic[Net]):
    """A run in progress: a network, the running mean of its weights, which a run leaves, and the optimiser.

    Parameters
    ----------
    task : str
        Of its checkpoints.
    network : VelocityNet or SynthesisNet
        Its encoder starts from that of the pack.
    pack : Pack
    settings : Schedule
    device : torch.device
    budget : Budget
    about : dict, optional
        What the sidecar will say beside the settings: data and terms, where the run started.
    """

    settings: Schedule

    def __init__(
        self,
        task: str,
        network: Net,
        pack: Pack,
        settings: Schedule,
        device: torch.device,
        budget: Budget,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.task, self.pack, self.device, self.budget = task, pack, device, budget
        self.settings, self.about = settings, about or {}
        start_encoder(network.encoder, pack.encoder)
        self.network: Net = network.to(device)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.rate, weight_decay=settings.decay, fused=device.type == "cuda"
        )
        self.ema = self.weights()
        self.step = self.skipped = 0
        self.scores: dict[str, float] = {}

    @abstractmethod
    def start_from(self, weights: dict[str, Tensor], path: str) -> None:
        """Begin with given weights, read from a path."""

    @abstractmethod
    def losses(self, batch: Batch, half: bool) -> dict[str, Tensor]:
        """Return `loss`, to be lowered, and its parts; `half`: convolutions in bfloat16."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return the figures of what the run leaves on validation subjects."""

    def follow(self, figures: dict[str, float]) -> None:
        """Learn from the figures of a step that was taken."""

    def extra(self) -> dict[str, Any]:
        """Return what else a run needs to go on."""
        return {}

    def left(self) -> dict[str, Tensor]:
        """Return the weights that the run leaves."""
        return self.ema

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the network's weights."""
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    @contextmanager
    def as_left(self) -> Iterator[None]:
        """Give the network the weights that the run leaves, for as long as it is looked at."""
        own = self.weights()
        self.network.load_state_dict(self.left())
        self.network.eval()
        try:
            yield
        finally:
            self.network.load_state_dict(own)
            self.network.train()

    def advance(self) -> dict[str, float]:
        """Take one step; one whose gradient is not finite is left out. Returns its figures."""
        s, shape = self.settings, self.network.shape
        generator = torch.Generator(self.device).manual_seed(s.seed * 1_000_003 + self.step)
        rate = s.rate_at(self.budget.share(self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            batch = make_batch(self.pack, s.batch, shape.shape, shape.spacing_mm, generator)
        half = s.half and self.skipped <= 10 + self.step // 10  # else it is not to be trusted here
        parts = self.losses(batch, half)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), s.clip))
        figures = dict(zip(parts, torch.stack([v.detach().float() for v in parts.values()]).tolist(), strict=True))
        if math.isfinite(norm) and math.isfinite(figures["loss"]):
            self.optimizer.step()
            self._average()
            self.follow(figures)
        else:
            self.skipped += 1
        self.step += 1
        return {**figures, "rate": rate, "norm": norm, "skipped": self.skipped}

    @torch.no_grad()
    def _average(self) -> None:
        """Move the running mean towards the weights; it keeps less of itself at first."""
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        own = self.network.state_dict()
        torch._foreach_lerp_([self.ema[n] for n in own], list(own.values()), 1 - keep)

    def save(self, weights: Path, kept: Path) -> None:
        """Write the weights to use, and everything that the run needs to go on."""
        config = {**plain(asdict(self.settings)), **self.about}
        said = {"task": self.task, "config": config, "step": self.step, "scores": self.scores}
        save_checkpoint(weights, {**said, "model": {n: v.float().cpu() for n, v in self.left().items()}, "ema": None})
        content = {
            **said,
            "model": self.network.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "elapsed": self.budget.elapsed,
            **self.extra(),
        }
        save_checkpoint(kept, content)

    def restore(self, content: dict[str, Any]) -> None:
        """Go on where `save` left off."""
        self.network.load_state_dict(content["model"])
        self.ema = {name: value.to(self.device) for name, value in content["ema"].items()}
        self.optimizer.load_state_dict(content["optimizer"])
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


def shape_of(config: dict[str, Any], kind: type[Shape]) -> Shape:
    """Return what rebuilds a network, from the config of a checkpoint."""
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in config["network"].items()})
