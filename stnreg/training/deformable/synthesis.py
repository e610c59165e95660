"""A training run of the synthesis network: its settings, its loss, its validation."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from stnreg.networks.synthesis import SynthesisNet, SynthesisShape
from stnreg.training.checkpoint import load_into
from stnreg.training.deformable import painting
from stnreg.training.deformable.batch import Batch, BatchSettings, make_batch
from stnreg.training.deformable.losses import correlation_map, local_correlation, mean_where
from stnreg.training.deformable.steps import Budget, PackRun, Schedule, start_encoder
from stnreg.training.deformable.subjects import Pack

VALIDATION_CONTRASTS = (*painting.DRAWN, "random")
WINDOW = 5  # voxels along each axis over which images are correlated


def _default_batch() -> BatchSettings:
    return BatchSettings(
        scan_pairs=4,
        painted_pairs=3,
        mixed_pairs=1,
        painted_warp_mm=4.5,
        labelled_share=0.75,
        contrast_share=0.4,
        shares=(0.1, 0.25, 0.25, 0.1),
        reference_voxels=6,
    )


@dataclass(frozen=True)
class SynthesisSettings(Schedule):
    """A whole run.

    Attributes
    ----------
    correlation : float
        Weight of 1 - local correlation beside the mean absolute difference.
    certainty : float
        Weight of the mean squared error of the local correlation that the network expects.
    network : SynthesisShape
    """

    steps: int = 3103
    rate: float = 1.5e-3
    warmup: float = 0.03
    ema: float = 0.997
    correlation: float = 0.5
    certainty: float = 0.2
    network: SynthesisShape = field(default_factory=SynthesisShape)
    batch: BatchSettings = field(default_factory=_default_batch)


def difference(found: Tensor, batch: Batch, settings: SynthesisSettings) -> dict[str, Tensor]:
    """Return `loss` and its parts of what a network made (2N, 2, D, H, W) of a batch's heads."""
    image, reference, brain = seen(batch), batch.reference, (batch.own_labels > 0)[:, None]
    made, certain = found[:, :1], found[:, 1:]
    shown = (image != 0).float()
    absolute = ((made - reference).abs() * shown).sum() / shown.sum().clamp_min(1)
    each = correlation_map(reference, made * shown, WINDOW)
    alike = mean_where(each, brain).mean()
    surprise = mean_where((certain - each.detach()).square(), brain).mean()
    loss = absolute + settings.correlation * (1 - alike) + settings.certainty * surprise
    return {"loss": loss, "absolute": absolute.detach(), "alike": alike.detach(), "surprise": surprise.detach()}


def seen(batch: Batch) -> Tensor:
    """Return the heads of a batch one by one, (2N, 1, D, H, W): all fixed, then all moving."""
    return torch.cat([batch.pair[:, :1], batch.pair[:, 1:]])


class SynthesisRun(PackRun[SynthesisNet]):
    """A run in progress."""

    settings: SynthesisSettings

    def __init__(
        self,
        pack: Pack,
        settings: SynthesisSettings,
        device: torch.device,
        budget: Budget,
        about: dict[str, Any] | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        super().__init__("synthesis", SynthesisNet(settings.network), pack, settings, device, budget, about)

    def start_from(self, weights: dict[str, Tensor], path: str) -> None:
        """Begin with given weights: of a synthesis network, or the encoder of a velocity network."""
        if "first.weight" not in weights:
            named = {n.removeprefix("encoder."): v for n, v in weights.items() if n.startswith("encoder.")}
            start_encoder(self.network.encoder, named)
        else:
            load_into(self.network, weights, path)
        self.ema = self.weights()

    def losses(self, batch: Batch, half: bool) -> dict[str, Tensor]:
        """Return the loss of a batch and its parts."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            found = self.network(seen(batch))
        return difference(found.float(), batch, self.settings)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the squared local correlation with the T1-weighted image on validation heads, by contrast."""
        totals: dict[str, list[float]] = {}
        with self.as_left():
            for name, batch in self._held():
                found = self.network(seen(batch))[:, :1]
                brain = (batch.own_labels > 0)[:, None]
                for kind, chosen in (("scans", batch.is_scan), ("painted", ~batch.is_scan)):
                    if chosen.any():
                        alike = local_correlation(batch.reference[chosen], found[chosen], brain[chosen], WINDOW)
                        totals.setdefault(f"{kind}_{name}", []).extend(alike.tolist())
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
