"""Augmentation: bias field, thick slices, noise, truncation, skull stripping, defacing, lesions."""

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.training.anatomy.poses import uniform


def smooth_noise(shape: tuple[int, ...], knots: int, generator: torch.Generator) -> Tensor:
    """Return smooth noise of unit scale at the knots, (D, H, W)."""
    coarse = torch.randn(1, 1, knots, knots, knots, generator=generator)
    return functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0, 0]


def bias_field(image: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply by a smooth random field, up to about +-40 %."""
    strength = uniform(generator, 0, 0.35)
    return image * torch.exp(strength * smooth_noise(tuple(image.shape), int(uniform(generator, 2, 5)), generator))


def random_curve(image: Tensor, generator: torch.Generator, *, monotone: bool) -> Tensor:
    """Map intensities in 0..1 by a random piecewise linear function: another contrast of the same anatomy."""
    knots = 6
    if monotone:
        values = torch.cumsum(0.15 + torch.rand(knots, generator=generator), 0)
        values = (values - values[0]) / (values[-1] - values[0])
    else:
        values = torch.rand(knots, generator=generator)
        values[0] = 0.0
    place = image.clamp(0, 0.9999) * (knots - 1)
    low = place.long()
    part = place - low
    return values[low] * (1 - part) + values[low + 1] * part


def gaussian_blur(image: Tensor, sigma_voxels: tuple[float, ...]) -> Tensor:
    """Gaussian blur, (D, H, W), separable; axes with a sigma of zero are not blurred."""
    out = image[None, None]
    for axis, sigma in enumerate(sigma_voxels):
        if sigma < 0.1:
            continue
        reach = int(3 * sigma + 0.5) or 1
        line = torch.arange(-reach, reach + 1, dtype=image.dtype)
        kernel = torch.exp(-(line**2) / (2 * sigma**2))
        shape, pad = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[2 + axis], pad[axis] = len(kernel), reach
        out = functional.conv3d(out, (kernel / kernel.sum()).reshape(shape), padding=pad)
    return out[0, 0]


def thick_slices(image: Tensor, spacing_mm: float, generator: torch.Generator) -> Tensor:
    """Average along one axis to slices of up to 6 mm, and interpolate back."""
    factor = uniform(generator, spacing_mm, 6.5) / spacing_mm
    if factor < 1.2:
        return image
    axis = int(uniform(generator, 0, 3))
    sigma = [0.0, 0.0, 0.0]
    sigma[axis] = 0.35 * factor
    size = list(image.shape)
    size[axis] = max(int(size[axis] / factor), 4)
    thin = functional.interpolate(gaussian_blur(image, tuple(sigma))[None, None], size=size, mode="nearest-exact")
    return functional.interpolate(thin, size=image.shape, mode="trilinear", align_corners=False)[0, 0]


def blur(image: Tensor, generator: torch.Generator) -> Tensor:
    """Blur slightly, with random sigma per axis."""
    sigma = uniform(generator, 0, 0.9)
    return gaussian_blur(image, tuple(sigma * uniform(generator, 0.5, 1) for _ in range(3)))


def noise(image: Tensor, generator: torch.Generator) -> Tensor:
    """Add Rician noise, up to 10 % of the brightest tissue."""
    level = 0.10 * uniform(generator) ** 2
    real = image + level * torch.randn(image.shape, generator=generator)
    imaginary = level * torch.randn(image.shape, generator=generator)
    return torch.sqrt(real**2 + imaginary**2)


def half_space(points: Tensor, normal: Tensor, offset_mm: float) -> Tensor:
    """Return where `normal . x > offset`, (D, D, D) bool; `normal` is a unit vector in the points' space."""
    return points @ normal > offset_mm


def outside_field_of_view(box_points: Tensor, generator: torch.Generator, *, hard: bool) -> Tensor:
    """Truncate the field of view by one or two planes, mostly along the axes of the box; `hard` can remove half a head.

    Returns
    -------
    (D, H, W) bool
        Outside of the field of view.
    """
    hidden = torch.zeros(box_points.shape[:3], dtype=torch.bool)
    for _ in range(1 if uniform(generator) < 0.6 else 2):
        if uniform(generator) < 0.6:
            normal = torch.zeros(3)
            normal[int(uniform(generator, 0, 3))] = 1.0 if uniform(generator) < 0.5 else -1.0
        else:
            normal = functional.normalize(torch.randn(3, generator=generator), dim=0)
        hidden |= half_space(box_points, normal, uniform(generator, -10, 60) if hard else uniform(generator, 50, 110))
    return hidden


def deface(image: Tensor, template_points: Tensor, generator: torch.Generator) -> Tensor:
    """Remove the face: a half space in front of and below the brain (template LPS: y grows backwards, z up)."""
    normal = torch.tensor([0.0, -uniform(generator, 0.6, 1.0), -uniform(generator, 0.4, 1.0)])
    normal = normal / normal.norm()
    return image.masked_fill(half_space(template_points, normal, uniform(generator, 70, 88)), 0.0)


def strip(image: Tensor, brain: Tensor, generator: torch.Generator) -> Tensor:
    """Skull stripping: keep the brain, dilated by a random margin."""
    grow = int(uniform(generator, 0, 2.99))
    kept = brain[None, None].float()
    for _ in range(grow):
        kept = functional.max_pool3d(kept, 3, 1, 1)
    return image * (kept[0, 0] > 0)


def random_lesions(image: Tensor, template_points: Tensor, generator: torch.Generator) -> Tensor:
    """Add one to three lesions or resections: dark, bright or empty spheres of 8 to 28 mm radius."""
    out = image
    for _ in range(1 + int(uniform(generator, 0, 2.99))):
        center = torch.randn(3, generator=generator) * 40.0
        radius = uniform(generator, 8, 28)
        inside = ((template_points - center) ** 2).sum(-1) < radius**2
        value = 0.0 if uniform(generator) < 0.5 else uniform(generator, 0.1, 1.2)
        out = torch.where(inside, torch.full_like(out, value), out)
    return out
