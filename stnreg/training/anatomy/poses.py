"""Random poses and smooth deformations: the positions of the voxels of a training image in a packed subject.

All coordinates are template mm (LPS, centred in the brain) unless a name says otherwise;
arrays and grids are (z, y, x), coordinates (x, y, z).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class MoveRanges:
    """Ranges of random poses relative to upright and centred."""

    rotation_deg: float  # 180: any rotation, uniform on SO(3)
    upright_share: float  # fraction of images rotated by at most `upright_deg`
    upright_deg: float
    translation_mm: float
    scale: float  # log-uniform in 1/(1+s) .. 1+s, common to all axes
    stretch: float  # the same per axis, in addition
    shear: float
    warp_mm: float  # largest standard deviation of the smooth displacement


def rotation_matrix(axis: Tensor, angle_rad: float) -> Tensor:
    """Return the (3, 3) rotation about a unit axis (Rodrigues)."""
    x, y, z = axis.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + math.sin(angle_rad) * cross + (1 - math.cos(angle_rad)) * cross @ cross


def random_rotation(ranges: MoveRanges, generator: torch.Generator) -> Tensor:
    """Draw a rotation: uniform on SO(3), or about a random axis by a bounded angle."""
    upright = uniform(generator) < ranges.upright_share
    if ranges.rotation_deg >= 180 and not upright:
        w, x, y, z = functional.normalize(torch.randn(4, generator=generator, dtype=torch.float64), dim=0).tolist()
        return torch.tensor(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ],
            dtype=torch.float64,
        )
    bound = ranges.upright_deg if upright else ranges.rotation_deg
    axis = functional.normalize(torch.randn(3, generator=generator, dtype=torch.float64), dim=0)
    return rotation_matrix(axis, math.radians(uniform(generator, -bound, bound)))


def random_box_to_template(ranges: MoveRanges, generator: torch.Generator) -> Tensor:
    """Draw the (4, 4) affine from the image box (mm about its centre) to the template (mm)."""
    rotation = random_rotation(ranges, generator)
    stretch = [math.log(1 + ranges.scale) * uniform(generator, -1, 1)] * 3
    stretch = [s + math.log(1 + ranges.stretch) * uniform(generator, -1, 1) for s in stretch]
    shear = torch.eye(3, dtype=torch.float64)
    for row, column in ((0, 1), (0, 2), (1, 2)):
        shear[row, column] = ranges.shear * uniform(generator, -1, 1)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.diag(torch.tensor(stretch, dtype=torch.float64).exp()) @ shear @ rotation
    shift = [ranges.translation_mm * uniform(generator, -1, 1) for _ in range(3)]
    matrix[:3, 3] = -matrix[:3, :3] @ torch.tensor(shift, dtype=torch.float64)
    return matrix


def uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Draw one number, uniform in [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def box_points(shape: tuple[int, ...], spacing_mm: float) -> Tensor:
    """Return the voxel centres of a (z, y, x) box about the origin, (*shape, 3), mm."""
    lines = [(torch.arange(n, dtype=torch.float32) - (n - 1) / 2) * spacing_mm for n in shape]
    z, y, x = torch.meshgrid(*lines, indexing="ij")
    return torch.stack([x, y, z], -1)


def template_points(points: Tensor, box_to_template: Tensor, warp_mm: float, generator: torch.Generator) -> Tensor:
    """Map box points to the template, and deform them smoothly.

    Parameters
    ----------
    points : (D, D, D, 3) float32
        From `box_points`.
    box_to_template : (4, 4) float64
    warp_mm : float
        Largest standard deviation of the smooth random displacement, mm.

    Returns
    -------
    (D, D, D, 3) float32
        Template points, mm, at which the subject is sampled.
    """
    matrix = box_to_template.to(points.dtype)
    out = points @ matrix[:3, :3].T + matrix[:3, 3]
    if warp_mm > 0:
        for knots in (4, 8):
            spread = uniform(generator, 0, warp_mm) * (1 if knots == 4 else 0.5)
            coarse = torch.randn(1, 3, knots, knots, knots, generator=generator) * spread
            smooth = functional.interpolate(coarse, scale_factor=2, mode="trilinear", align_corners=False)
            fine = functional.interpolate(smooth, size=points.shape[:3], mode="trilinear", align_corners=False)
            out = out + fine[0].permute(1, 2, 3, 0)
    return out


def local_scaling(points: Tensor, centers: Tensor, strength: Tensor, radius_mm: Tensor) -> Tensor:
    """Magnify (strength > 0) or shrink (< 0) the anatomy around some template points.

    Sampling positions within about a radius of a centre are moved towards it by the fraction `strength`, which enlarges
    the anatomy there, such as a ventricle.

    Parameters
    ----------
    points : (D, D, D, 3) float32
    centers : (K, 3) float32
        Template mm.
    strength, radius_mm : (K,) float32
    """
    out = points
    for center, share, radius in zip(centers, strength, radius_mm, strict=True):
        away = out - center
        out = out - share * torch.exp(-(away**2).sum(-1, keepdim=True) / (2 * radius**2)) * away
    return out
