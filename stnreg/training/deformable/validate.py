"""How well a velocity network registers heads that it was not trained on: hard label Dice, folds, spread of log J."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stnreg.networks.velocity import VelocityNet, integrate, spline_upsample
from stnreg.simulation.tissues import FLUID_AROUND, HEAD
from stnreg.training.deformable import losses, painting
from stnreg.training.deformable.subjects import Pack, Stack, frame_points

LEAST_VOXELS = 50  # of a label of the fixed head, as the benchmarks count
GROWN = 4  # voxels that the brain is grown by before a head is cut to it
CONTRASTS = (("t1", "t1"), ("t1", "t2"), ("t1", "flair"), ("t1", "random"))


@dataclass
class Seen:
    """Heads as the network sees them unmoved, and what judges their registration.

    Attributes
    ----------
    image : (N, 1, D, H, W) float32
    labels : (N, D, H, W) int64
    who : (N,) int64
        In their stack.
    """

    image: Tensor
    labels: Tensor
    who: Tensor


@torch.no_grad()
def validate(network: VelocityNet, pack: Pack, pairs: int = 16, batch: int = 4, *, passes: int = 1) -> dict[str, float]:
    """Register validation pairs in float32, seen `passes` times, and return mean figures.

    Returns
    -------
    dict
        `dice`, `affine`: mean hard label Dice of pairs of scans after and before; `spread`, `folds`: standard deviation
        of log J inside the brain, voxels whose determinant is not positive; `painted_A_B`: Dice of painted pairs.
    """
    shape, spacing_mm = network.shape.shape, network.shape.spacing_mm
    points = frame_points(shape, spacing_mm, pack.scans.frame_to_index.device)
    held = pack.scans.validation
    chosen = [(held[k % len(held)], held[(k + 1 + k // len(held)) % len(held)]) for k in range(pairs)]
    totals: dict[str, list[float]] = {}
    for start in range(0, len(chosen) if len(held) > 1 else 0, batch):
        fixed, moving = (
            torch.tensor(w, device=points.device) for w in zip(*chosen[start : start + batch], strict=True)
        )
        seen = _scan(pack, fixed, points), _scan(pack, moving, points)
        for name, value in _figures(network, *seen, pack.scans, "labels", None, points, passes):
            totals.setdefault(name, []).append(value)
    found = {name: sum(values) / len(values) for name, values in totals.items()}
    held = pack.anatomies.validation
    for a, b in CONTRASTS if len(held) > 1 else ():
        fixed = torch.tensor(held, device=points.device)
        moving = fixed.roll(1)
        generator = torch.Generator(points.device).manual_seed(7)
        seen = _drawn(pack, fixed, points, a, network, generator), _drawn(pack, moving, points, b, network, generator)
        table = pack.freesurfer_of_code
        figures = list(_figures(network, *seen, pack.anatomies, "tissue", table, points, passes))
        values = [value for name, value in figures if name == "dice"]
        found[f"painted_{a}_{b}"] = sum(values) / len(values)
    return found


def _scan(pack: Pack, who: Tensor, points: Tensor) -> Seen:
    at = points.expand(len(who), *points.shape[1:])
    labels = pack.scans.nearest("labels", who, at)
    return Seen(as_seen(pack.scans.linear("image", who, at), (labels > 0)[:, None]), labels, who)


def _drawn(
    pack: Pack, who: Tensor, points: Tensor, contrast: str, network: VelocityNet, generator: torch.Generator
) -> Seen:
    shape, spacing_mm = network.shape.shape, network.shape.spacing_mm
    fine = frame_points(tuple(2 * n for n in shape), spacing_mm / 2, points.device)
    codes = pack.anatomies.nearest("tissue", who, points.expand(len(who), *points.shape[1:]))
    brain = ((codes > 0) & (codes < HEAD) & (codes != FLUID_AROUND))[:, None]
    finer = pack.anatomies.nearest("tissue", who, fine.expand(len(who), *fine.shape[1:]))
    palette = painting.palettes([contrast] * len(who), generator, 0.5)
    image = painting.paint(finer, palette, generator, 0.04)
    image = image + 0.03 * torch.randn(image.shape, generator=generator, device=image.device)
    return Seen(as_seen(image, brain), pack.freesurfer_of_code[codes], who)


def as_seen(image: Tensor, brain: Tensor) -> Tensor:
    """Return a head (N, 1, D, H, W) as the network is to see it: cut to its brain, grown, and normalised."""
    voxels = torch.full((image.shape[0],), GROWN, device=image.device)
    return painting.normalise(image, brain, painting.grown(brain, voxels))


def _figures(
    network: VelocityNet,
    fixed: Seen,
    moving: Seen,
    stack: Stack,
    kind: str,
    table: Tensor | None,
    points: Tensor,
    passes: int,
) -> Iterator[tuple[str, float]]:
    spacing_mm = network.shape.spacing_mm
    pair = torch.cat([fixed.image, moving.image], 1)
    coefficients = network(pair).float()
    for _ in range(passes - 1):
        coefficients = coefficients + network.again(pair, coefficients).float()
    there = integrate(spline_upsample(coefficients), spacing_mm)
    determinant = losses.jacobian(there, spacing_mm)
    brain = (fixed.labels > 0)[:, 1:-1, 1:-1, 1:-1]
    spread = losses.log_jacobian_spread(determinant, brain)
    for name, shift in (("affine", torch.zeros_like(there)), ("dice", there)):
        moved = stack.nearest(kind, moving.who, points + shift.permute(0, 2, 3, 4, 1))
        moved = moved if table is None else table[moved]
        for k in range(len(fixed.who)):
            yield name, hard_dice(fixed.labels[k], moved[k], moving.labels[k])
    for k in range(len(fixed.who)):
        yield "spread", float(spread[k])
        yield "folds", float((determinant[k] <= 0).sum())


def hard_dice(fixed: Tensor, moved: Tensor, moving: Tensor) -> float:
    """Return the mean Dice over labels that both heads have, as the benchmarks do; all (D, H, W) int64."""
    size = int(max(fixed.max(), moved.max(), moving.max())) + 1
    in_fixed, in_moved, in_moving = (torch.bincount(x.flatten(), minlength=size) for x in (fixed, moved, moving))
    common = torch.bincount(fixed[fixed == moved], minlength=size)
    keep = (in_fixed > LEAST_VOXELS) & (in_moving > 0)
    keep[0] = False
    if not bool(keep.any()):
        return 0.0
    return float((2 * common[keep] / (in_fixed[keep] + in_moved[keep])).mean())
