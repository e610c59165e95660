"""What makes a displacement good: overlap of labels, local correlation, and how it stretches space.

Displacements are (N, 3, D, H, W) mm, (x, y, z), and take points of one head to points of the other.
"""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.networks.velocity import warp

_SPREAD = 64  # counters that are kept for each label: many threads that add to one would wait for each other


def label_overlap(fixed: Tensor, moving: Tensor, displacement_mm: Tensor, spacing_mm: float, labels: int) -> Tensor:
    """Return the soft Dice of every label, fixed labels against linearly interpolated moving ones.

    Counted voxel by voxel rather than in one volume a label, so that labels cost nothing.

    Parameters
    ----------
    fixed, moving : (N, D, H, W) int64
        Indices below `labels`, 0 for none.
    displacement_mm : (N, 3, D, H, W) float32
        Fixed points to moving points.

    Returns
    -------
    (N, labels) float32
        NaN where a label is not in both, and for 0.
    """
    n = fixed.shape[0]
    # One voxel of nothing around the moving labels, and places are kept within it.
    wide = functional.pad(moving, (1, 1, 1, 1, 1, 1))
    depth, height, width = wide.shape[1:]
    low: list[Tensor] = []
    part: list[Tensor] = []
    for axis, (size, view) in enumerate(((width, (1, 1, -1)), (height, (1, -1, 1)), (depth, (-1, 1, 1)))):
        line = torch.arange(1, size - 1, device=fixed.device, dtype=torch.float32).view(1, *view)
        place = (line + displacement_mm[:, axis] / spacing_mm).clamp(0, size - 1.001).flatten(1)
        low.append(place.detach().long())
        part.append(place - low[-1])
    truth, source = fixed.flatten(1), wide.flatten(1)
    counter = torch.arange(truth.shape[1], device=fixed.device) % _SPREAD
    counter = counter + torch.arange(n, device=fixed.device)[:, None] * (labels * _SPREAD)

    def count(which: Tensor, weight: Tensor) -> Tensor:
        """Sum weights (N, V) by label."""
        sums = torch.zeros(n * labels * _SPREAD, device=fixed.device)
        sums = sums.scatter_add(0, (which * _SPREAD + counter).flatten(), weight.flatten())
        return sums.reshape(n, labels, _SPREAD).sum(2)

    first = (low[2] * height + low[1]) * width + low[0]
    both = torch.zeros_like(part[0])
    moved = torch.zeros((n, labels), device=fixed.device)
    for right, back, up in product((0, 1), repeat=3):
        weight = _share(part[0], right) * _share(part[1], back) * _share(part[2], up)
        found = source.gather(1, first + ((up * height + back) * width + right))
        both = both + weight * (found == truth)
        moved = moved + count(found, weight)
    ones = torch.ones_like(part[0])
    held, shown = count(truth, ones), count(moving.flatten(1), ones)
    dice = 2 * count(truth, both) / (held + moved).clamp_min(1)
    present = (held > 0) & (shown > 0)
    present[:, 0] = False
    return torch.where(present, dice, torch.nan)


def _share(part: Tensor, side: int) -> Tensor:
    """Return the weight of the voxel below (0) or above (1) a place."""
    return part if side else 1 - part


def mean_loss(dice: Tensor) -> Tensor:
    """Return 1 - the mean over the labels of each pair, then over pairs; a pair without labels counts nothing."""
    there = ~dice.isnan()
    kept = torch.where(there, dice, torch.zeros_like(dice))
    each = (kept.sum(1) / there.sum(1).clamp_min(1)) + (~there.any(1))
    return 1 - each.mean()


def label_shares(labels: Tensor, count: int) -> Tensor:
    """Return the share of every label in blocks of two voxels, (N, D, H, W) int64 to (N, count, D/2, H/2, W/2)."""
    n, d, h, w = labels.shape
    z, y, x = torch.meshgrid(*(torch.arange(k, device=labels.device) // 2 for k in (d, h, w)), indexing="ij")
    block = (z * (h // 2) + y) * (w // 2) + x
    voxels = (d // 2) * (h // 2) * (w // 2)
    which = torch.arange(n, device=labels.device).view(-1, 1, 1, 1) * count + labels
    shares = torch.zeros(n * count * voxels, device=labels.device)
    index = (which * voxels + block).flatten()
    shares.scatter_add_(0, index, torch.full((1,), 0.125, device=labels.device).expand(index.shape))
    return shares.reshape(n, count, d // 2, h // 2, w // 2)


def share_overlap(fixed: Tensor, moving: Tensor, displacement_mm: Tensor, spacing_mm: float) -> Tensor:
    """Return the soft Dice of every map, (N, maps) float32, NaN where one is empty; the background is the first.

    Parameters
    ----------
    fixed, moving : (N, maps, D, H, W) float32
        Shares.
    displacement_mm : (N, 3, D, H, W) float32
    """
    moved = warp(moving, displacement_mm, spacing_mm, "zeros").flatten(2)
    fixed = fixed.flatten(2)
    shown = moving.flatten(2).sum(2)
    dice = 2 * (fixed * moved).sum(2) / (fixed.square().sum(2) + moved.square().sum(2)).clamp_min(0.1)
    present = (fixed.sum(2) > 0.5) & (shown > 0.5)
    present[:, 0] = False
    return torch.where(present, dice, torch.nan)


def local_correlation(fixed: Tensor, moved: Tensor, where: Tensor, window: int = 7) -> Tensor:
    """Return the mean squared local correlation, (N,), of (N, 1, D, H, W) images in boxes of `window` voxels.

    Parameters
    ----------
    where : (N, 1, D, H, W) bool
        Which voxels count.
    """
    return mean_where(correlation_map(fixed, moved, window), where)


def correlation_map(fixed: Tensor, moved: Tensor, window: int) -> Tensor:
    """Return the squared correlation in the box of `window` voxels about each voxel, (N, 1, D, H, W)."""

    def mean(x: Tensor) -> Tensor:
        for axis in range(3):
            size, pad = [1, 1, 1], [0, 0, 0]
            size[axis], pad[axis] = window, window // 2
            x = functional.avg_pool3d(x, size, 1, pad)
        return x

    f, m = mean(fixed), mean(moved)
    cross = mean(fixed * moved) - f * m
    spread_f, spread_m = mean(fixed.square()) - f.square(), mean(moved.square()) - m.square()
    return cross.square() / (spread_f.clamp_min(0) * spread_m.clamp_min(0) + 1e-5)


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean over voxels that count, (N,), of (N, 1, D, H, W)."""
    return (values * where).flatten(1).sum(1) / where.flatten(1).sum(1).clamp_min(1)


def jacobian(displacement_mm: Tensor, spacing_mm: float) -> Tensor:
    """Return the Jacobian determinant of x + u(x) by central differences, (N, D-2, H-2, W-2): inner voxels."""
    u = displacement_mm
    inner = slice(1, -1)
    along_x = (u[:, :, inner, inner, 2:] - u[:, :, inner, inner, :-2]) / (2 * spacing_mm)
    along_y = (u[:, :, inner, 2:, inner] - u[:, :, inner, :-2, inner]) / (2 * spacing_mm)
    along_z = (u[:, :, 2:, inner, inner] - u[:, :, :-2, inner, inner]) / (2 * spacing_mm)
    a, d, g = (along_x + torch.tensor([1.0, 0, 0], device=u.device).view(1, 3, 1, 1, 1)).unbind(1)
    b, e, h = (along_y + torch.tensor([0.0, 1, 0], device=u.device).view(1, 3, 1, 1, 1)).unbind(1)
    c, f, i = (along_z + torch.tensor([0.0, 0, 1], device=u.device).view(1, 3, 1, 1, 1)).unbind(1)
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def log_jacobian_spread(determinant: Tensor, where: Tensor) -> Tensor:
    """Return the standard deviation of log J over voxels that count, (N,); both (N, D, H, W)."""
    log = determinant.clamp_min(1e-3).log().flatten(1)
    weight = where.flatten(1).float()
    total = weight.sum(1).clamp_min(1)
    mean = (log * weight).sum(1) / total
    return (((log - mean[:, None]).square() * weight).sum(1) / total + 1e-8).sqrt()


def unevenness(velocity_mm: Tensor, spacing_mm: float) -> Tensor:
    """Return the mean squared slope of a velocity, dimensionless, from (N, 3, D, H, W)."""
    slopes = [velocity_mm.diff(dim=axis) / spacing_mm for axis in (2, 3, 4)]
    return torch.stack([s.square().sum(1).mean() for s in slopes]).sum()
