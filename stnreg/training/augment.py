"""Random transforms and augmentation of training images; deterministic by (seed, step)."""

import math

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from stnreg.networks.parameters import theta_from_parts
from stnreg.training.config import AugmentConfig, MovesConfig


def step_generator(seed: int, step: int, *more: int) -> Generator:
    """Return the random generator of one step, and of a pair in it; deterministic."""
    mixed = np.random.SeedSequence([seed, step, *more]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))


def uniform(generator: Generator, *shape: int) -> Tensor:
    """Draw uniformly from -1 to 1."""
    return torch.rand(shape, generator=generator) * 2 - 1


def curriculum(moves: MovesConfig, progress: float) -> float:
    """Return the fraction of the ranges of transforms to use at `progress` (0 to 1) of the run."""
    start = moves.start_deg / moves.rotation_deg if moves.rotation_deg > 0 else 1.0
    if moves.curriculum <= 0:
        return 1.0
    return min(1.0, start + (1 - start) * progress / moves.curriculum)


def random_moves(
    generator: Generator, count: int, moves: MovesConfig, half_edge_mm: float, amount: float = 1.0
) -> Tensor:
    """Draw affine transforms about the centre of the cube.

    Parameters
    ----------
    generator : Generator
    count : int
    moves : MovesConfig
    half_edge_mm : float
        Half the edge of the cube: a normalised 1 in mm.
    amount : float
        Fraction of the ranges to use.

    Returns
    -------
    theta : (count, 3, 4)
    """
    axis = functional.normalize(torch.randn((count, 3), generator=generator), dim=1)
    angle_rad = uniform(generator, count, 1) * math.radians(moves.rotation_deg) * amount
    return theta_from_parts(
        shear=uniform(generator, count, 3) * moves.shear * amount,
        scale=torch.exp(uniform(generator, count, 3) * math.log(1 + moves.scale) * amount),
        # The vector of angles has bounded length, so that the total rotation is within the range.
        rotation_rad=axis * angle_rad,
        translation=uniform(generator, count, 3) * moves.translation_mm / half_edge_mm * amount,
    )


def augment(images: Tensor, generator: Generator, config: AugmentConfig) -> Tensor:
    """Change contrast, bias field, noise and field of view of each image (N, D, D, D) in [0, 1]."""
    count = len(images)
    if config.gamma:
        images = images.clamp(min=0) ** torch.exp(uniform(generator, count, 1, 1, 1) * config.gamma)
    if config.gain:
        images = images * (1 + uniform(generator, count, 1, 1, 1) * config.gain)
    if config.bias:
        coarse = uniform(generator, count, 1, 4, 4, 4) * config.bias
        field = functional.interpolate(coarse, size=images.shape[1:], mode="trilinear", align_corners=True)
        images = images * torch.exp(field[:, 0])
    if config.noise:
        amount = torch.rand((count, 1, 1, 1), generator=generator) * config.noise
        images = images + amount * torch.randn(images.shape, generator=generator)
    if config.crop_probability:
        images = crop(images, generator, config)
    return window(images, generator, config) if config.window_probability else images


def crop(images: Tensor, generator: Generator, config: AugmentConfig) -> Tensor:
    """Set a slab at one side of some images to zero, as for a truncated field of view."""
    edge = images.shape[1]
    images = images.clone()
    for image in images:
        chance, depth = torch.rand(2, generator=generator).tolist()
        axis, far = divmod(int(torch.randint(6, (1,), generator=generator)), 2)
        width = round(depth * config.crop * edge)
        if chance < config.crop_probability and width:
            image.narrow(axis, edge - width if far else 0, width).zero_()
    return images


def window(images: Tensor, generator: Generator, config: AugmentConfig) -> Tensor:
    """Set the outside of a box about the centre of some images to zero, as outside the field of view of a scanner.

    A random transform rotates the borders of a scan with the head. If the head was rotated in the scanner, the borders
    are not rotated; a network must not rely on them.
    """
    edge = images.shape[1]
    images = images.clone()
    for image in images:
        chance, *shares = torch.rand(4, generator=generator).tolist()
        if chance < config.window_probability:
            for axis, share in enumerate(shares):
                margin = round(share * config.window * edge / 2)
                image.narrow(axis, 0, margin).zero_()
                image.narrow(axis, edge - margin, margin).zero_()
    return images
