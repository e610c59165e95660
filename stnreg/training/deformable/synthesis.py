"""A training run of the synthesis network: its settings, its loss, its steps, and what it keeps."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stnreg.networks.synthesis import SynthesisNet, SynthesisShape
from stnreg.training.checkpoint import load_into, save_checkpoint
from stnreg.training.deformable import painting
from stnreg.training.deformable.batch import Batch, BatchSettings, make_batch
from stnreg.training.deformable.losses import local_correlation
from stnreg.training.deformable.subjects import Pack
from stnreg.training.deformable.task import Averaged, Budget, plain, start_encoder

VALIDATION_CONTRASTS = (*painting.DRAWN, "random")
WINDOW = 5  # voxels along each axis over which images are correlated


@dataclass(frozen=True)
class SynthesisSettings:
    """A whole run.

    Attributes
    ----------
    steps : int
    minutes : float
        Time to train for in place of steps; 0 leaves it to the steps.
    rate : float
        Adam's, at its highest.
    warmup, ema, clip : float
        Share of the budget in which the rate rises; share of the running mean kept per step; largest gradient norm.
    correlation : float
        Weight of 1 - local correlation beside the mean absolute difference.
    half : bool
        Convolutions in bfloat16.
    """

    seed: int = 1
    steps: int = 1200
    minutes: float = 0.0
    rate: float = 1.5e-3
    warmup: float = 0.03
    ema: float = 0.99
    clip: float = 1.0
    decay: float = 1e-4
    correlation: float = 0.5
    half: bool = True
    network: SynthesisShape = field(default_factory=SynthesisShape)
    batch: BatchSettings = field(
        default_factory=lambda: BatchSettings(
            1,
            0,
            1,
            painted_warp_mm=4.5,
            labelled_share=0.75,
            contrast_share=0.4,
            shares=(0.1, 0.25, 0.25, 0.1),
            reference_voxels=6,
        )
    )


def difference(found: Tensor, batch: Batch, correlation: float) -> dict[str, Tensor]:
    """Return `loss` and its parts of what a network made (2N, 1, D, H, W) of a batch's heads."""
    image, reference, brain = seen(batch), batch.reference, (batch.own_labels > 0)[:, None]
    shown = (image != 0).float()
    absolute = ((found - reference).abs() * shown).sum() / shown.sum().clamp_min(1)
    alike = local_correlation(reference, found * shown, brain, WINDOW).mean()
    return {"loss": absolute + correlation * (1 - alike), "absolute": absolute.detach(), "alike": alike.detach()}


def seen(batch: Batch) -> Tensor:
    """Return the heads of a batch one by one, (2N, 1, D, H, W): all fixed, then all moving."""
    return torch.cat([batch.pair[:, :1], batch.pair[:, 1:]])


class SynthesisRun(Averaged):
    """A run in progress: the network, its running mean, the optimiser."""

    network: SynthesisNet

    def __init__(
        self,
        pack: Pack,
        settings: SynthesisSettings,
        device: torch.device,
        budget: Budget,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.pack, self.settings, self.device, self.budget = pack, settings, device, budget
        self.about = about or {}
        torch.manual_seed(settings.seed)
        self.network = SynthesisNet(settings.network)
        start_encoder(self.network.encoder, pack.encoder)
        self.network.to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), settings.rate, weight_decay=settings.decay)
        self.ema = self.weights()
        self.step = self.skipped = 0
        self.scores: dict[str, float] = {}

    def start_from(self, weights: dict[str, Tensor], path: str) -> None:
        """Begin with given weights: of a synthesis network, or the encoder of a velocity network."""
        if "first.weight" not in weights:
            named = {n.removeprefix("encoder."): v for n, v in weights.items() if n.startswith("encoder.")}
            start_encoder(self.network.encoder, named)
        else:
            load_into(self.network, weights, path)
        self.ema = self.weights()

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
        with torch.autocast(self.device.type, torch.bfloat16, enabled=s.half):
            found = self.network(seen(batch))
        parts = difference(found.float(), batch, s.correlation)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), s.clip))
        figures = {name: float(value.detach()) for name, value in parts.items()}
        if math.isfinite(norm) and math.isfinite(figures["loss"]):
            self.optimizer.step()
            self.average(s.ema)
        else:
            self.skipped += 1
        self.step += 1
        return {**figures, "rate": rate, "norm": norm, "skipped": self.skipped}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the squared local correlation with the T1-weighted image on validation heads, by contrast."""
        own = self.weights()
        self.network.load_state_dict(self.ema)
        self.network.eval()
        try:
            totals: dict[str, list[float]] = {}
            for name, batch in self._held():
                found = self.network(seen(batch))
                brain = (batch.own_labels > 0)[:, None]
                for kind, chosen in (("scans", batch.is_scan), ("painted", ~batch.is_scan)):
                    if chosen.any():
                        alike = local_correlation(batch.reference[chosen], found[chosen], brain[chosen], WINDOW)
                        totals.setdefault(f"{kind}_{name}", []).extend(alike.tolist())
        finally:
            self.network.load_state_dict(own)
            self.network.train()
        self.scores = {name: sum(values) / len(values) for name, values in totals.items()}
        return {**self.scores, "s": self.budget.elapsed}

    def _held(self) -> Iterator[tuple[str, Batch]]:
        """Make the batch of validation heads that each contrast is tried on."""
        s = self.settings
        held = self.pack.held_out()
        for name in VALIDATION_CONTRASTS:
            generator = torch.Generator(self.device).manual_seed(s.seed)
            shares = tuple(float(one == name) for one in painting.DRAWN)
            batch = replace(s.batch, shares=shares, labelled_share=1.0, contrast_share=0.0)
            yield name, make_batch(held, batch, s.network.shape, s.network.spacing_mm, generator)

    def save(self, weights: Path, kept: Path) -> None:
        """Write the weights to use, and everything that the run needs to go on."""
        config = {**plain(asdict(self.settings)), **self.about}
        said = {"task": "synthesis", "config": config, "step": self.step, "scores": self.scores}
        save_checkpoint(weights, {**said, "model": {n: v.float().cpu() for n, v in self.ema.items()}, "ema": None})
        content = {
            **said,
            "model": self.network.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "elapsed": self.budget.elapsed,
        }
        save_checkpoint(kept, content)

    def restore(self, content: dict[str, Any]) -> None:
        """Go on where `save` left off."""
        self.network.load_state_dict(content["model"])
        self.ema = {name: value.to(self.device) for name, value in content["ema"].items()}
        self.optimizer.load_state_dict(content["optimizer"])
        self.step, self.scores = content["step"], content["scores"]
        self.budget.before = content["elapsed"]


def shape_of(config: dict[str, Any]) -> SynthesisShape:
    """Return what rebuilds the network, from the config of a checkpoint."""
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in config["network"].items()}
    return SynthesisShape(**values)
