"""The loss of a batch: overlap of labels, correlation, an encoder that knows structures, and bounded stretch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.networks.velocity import VelocityNet, integrate, spline_upsample, warp
from stnreg.training.deformable import losses
from stnreg.training.deformable.batch import Batch
from stnreg.training.deformable.subjects import Pack


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms.

    Attributes
    ----------
    fine, coarse : float
        Of 1 - soft Dice, voxel by voxel and in shares of blocks of two.
    correlation : float
        Of 1 - local correlation of the heads in one contrast.
    maps : float
        Of the cross-entropy of the encoder's maps, nats.
    contrast : float
        Of the mean squared difference, mm^2, from the coefficients that the same network finds where both heads have
        one contrast.
    fold : float
        Of how far determinants fall below `least`.
    spread : float
        Standard deviation of log J that is wanted inside the brain; the weight of smoothness follows it.
    floor : float
        Least weight of smoothness.
    squarings : int
        Of the velocity's exponential in training.
    passes : int
        How often the network sees a pair: the first time as it is, then moved halfway along what it found so far.
        `stnreg register --deform` shows it twice.
    """

    fine: float = 1.0
    coarse: float = 1.0
    correlation: float = 0.3
    maps: float = 0.25
    contrast: float = 0.0
    fold: float = 100.0
    least: float = 0.3
    spread: float = 0.36
    floor: float = 0.02
    squarings: int = 6
    passes: int = 1


@dataclass
class Smoothness:
    """The weight of smoothness, moved until log J spreads as wanted.

    Attributes
    ----------
    weight : float
    target : float
        Spread to reach on training batches; validation says how they differ from real pairs.
    seen : float
        Running mean of the spread on training batches.
    floor : float
        Least weight.
    """

    weight: float
    target: float
    seen: float = 0.0
    floor: float = LossSettings.floor

    def follow(self, spread: float) -> None:
        """Take in one batch's spread."""
        if not 0 <= spread < 10:
            return
        self.seen = spread if self.seen == 0 else 0.95 * self.seen + 0.05 * spread
        step = max(min(spread / self.target - 1, 1.0), -1.0)
        self.weight = min(max(self.weight * (1 + 0.01 * step), self.floor), 20.0)

    def correct(self, validation: float, wanted: float) -> None:
        """Take in the spread on validation pairs: their ratio to training batches moves the target."""
        if self.seen > 0.05 and validation > 0.05:
            self.target = min(max(wanted * self.seen / validation, 0.6 * wanted), 1.6 * wanted)


def batch_loss(
    network: VelocityNet, batch: Batch, pack: Pack, settings: LossSettings, weight: float, half: bool
) -> dict[str, Tensor]:
    """Return `loss` and its parts for one batch; `half` runs convolutions in bfloat16."""
    spacing_mm = network.shape.spacing_mm
    with torch.autocast(batch.pair.device.type, torch.bfloat16, enabled=half):
        features = network.pyramid(batch.pair)
        logits = network.encoder.head(features[0])
        coefficients = _looked_at(network, batch.pair, features, settings.passes)
    apart = coefficients.new_zeros(())
    if settings.contrast:
        apart = (coefficients - in_one_contrast(network, batch, settings.passes, half)).square().mean()
    velocity = spline_upsample(coefficients)
    there = integrate(torch.cat([velocity, -velocity]), spacing_mm, settings.squarings)
    count = max(pack.labels, pack.freesurfer_labels)
    fixed = torch.cat([batch.labels[0], batch.labels[1]])
    moving = torch.cat([batch.labels[1], batch.labels[0]])
    fine = losses.mean_loss(losses.label_overlap(fixed, moving, there, spacing_mm, count))
    shares = losses.label_shares(fixed, count)
    n = batch.pair.shape[0]
    blocks = functional.avg_pool3d(there, 2)
    coarse = losses.mean_loss(losses.share_overlap(shares, torch.cat([shares[n:], shares[:n]]), blocks, 2 * spacing_mm))
    brain = fixed > 0
    moved = warp(batch.reference[n:], there[:n], spacing_mm, "zeros")
    correlation = 1 - losses.local_correlation(batch.reference[:n], moved, brain[:n, None]).mean()
    inner = brain[:, 1:-1, 1:-1, 1:-1]
    determinant = losses.jacobian(there, spacing_mm)
    spread = losses.log_jacobian_spread(determinant, inner).mean()
    stretch = determinant.clamp_min(0.02).log().square().mean()
    smooth = spread.square() + stretch + 0.5 * losses.unevenness(coefficients, 2 * spacing_mm)
    fold = functional.relu(settings.least - determinant).mean()
    maps = map_loss(logits.float(), batch, pack)
    total = (
        settings.fine * fine
        + settings.coarse * coarse
        + settings.correlation * correlation
        + settings.maps * maps
        + settings.contrast * apart
        + weight * smooth
        + settings.fold * fold
    )
    return {
        "loss": total,
        "fine": fine.detach(),
        "coarse": coarse.detach(),
        "correlation": correlation.detach(),
        "maps": maps.detach(),
        "apart": apart.detach(),
        "spread": spread.detach(),
        "folds": (determinant <= 0).float().sum((1, 2, 3)).mean().detach(),
    }


@torch.no_grad()
def in_one_contrast(network: VelocityNet, batch: Batch, passes: int, half: bool) -> Tensor:
    """Return the coefficients (N, 3, D/2, H/2, W/2) mm that a network finds where both heads have one contrast."""
    n = batch.pair.shape[0]
    pair = torch.cat([batch.reference[:n], batch.reference[n:]], 1)
    with torch.autocast(pair.device.type, torch.bfloat16, enabled=half):
        return _looked_at(network, pair, network.pyramid(pair), passes)


def _looked_at(network: VelocityNet, pair: Tensor, features: list[Tensor], passes: int) -> Tensor:
    """Return the coefficients after so many looks at a pair, of which the first is at its features."""
    found = network.match(features).float()
    for _ in range(passes - 1):
        found = found + network.again(pair, found).float()
    return found


def map_loss(logits: Tensor, batch: Batch, pack: Pack) -> Tensor:
    """Return the cross-entropy of maps (2N, labels, D/2, H/2, W/2); painted heads are asked for FreeSurfer's labels."""
    log = torch.log_softmax(logits, 1)
    scans, painted = batch.is_scan.nonzero()[:, 0], (~batch.is_scan).nonzero()[:, 0]
    terms = []
    if len(scans):
        shares = losses.label_shares(batch.own_labels[scans], pack.labels)
        terms.append(-(shares * log[scans]).sum(1).mean((1, 2, 3)))
    if len(painted):
        chances = log[painted].exp()
        merged = torch.zeros((len(painted), pack.freesurfer_labels, *chances.shape[2:]), device=chances.device)
        merged = merged.index_add(1, pack.to_freesurfer, chances)
        shares = losses.label_shares(batch.own_labels[painted], pack.freesurfer_labels)
        terms.append(-(shares * merged.clamp_min(1e-6).log()).sum(1).mean((1, 2, 3)))
    return torch.cat(terms).mean()
