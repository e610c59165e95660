"""Simulated scanner: bias field, texture, blur, noise, rounding to integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnreg.simulation.fields import Array, blurred, smooth_field

FULL_SCALE = 1000  # stored value of 1, the brightest brain tissue


@dataclass(frozen=True)
class Scanner:
    """One scanning session; values relative to the brightest brain tissue.

    Attributes
    ----------
    noise : float
        Standard deviation in each of the two channels whose magnitude is stored (Rician).
    bias : float
        Scale of the logarithm of the smooth field that multiplies the image.
    texture : float
        Variation within a tissue, two voxels wide.
    blur_voxels : float
    """

    noise: float
    bias: float
    texture: float
    blur_voxels: float


def random_scanner(rng: np.random.Generator) -> Scanner:
    """Draw a scanner with random noise, bias field, texture and blur."""
    return Scanner(
        noise=rng.uniform(0.015, 0.05),
        bias=rng.uniform(0.05, 0.2),
        texture=rng.uniform(0.01, 0.04),
        blur_voxels=rng.uniform(0.0, 0.5),
    )


def scan(clean: Array, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.int16]:
    """Simulate the scan of noise-free intensities (0 to about 1.2), (z, y, x) int16."""
    half = tuple(max(n // 2, 2) for n in clean.shape)
    image = clean * (1 + scanner.texture * smooth_field(clean.shape, half, rng))
    image = blurred(image, scanner.blur_voxels if scanner.blur_voxels > 0.2 else 0.0)
    image *= np.exp(scanner.bias * smooth_field(clean.shape, 4, rng))
    image += scanner.noise * rng.standard_normal(clean.shape, dtype=np.float32)
    image = np.hypot(image, scanner.noise * rng.standard_normal(clean.shape, dtype=np.float32))
    return np.rint(image * FULL_SCALE).clip(0, np.iinfo(np.int16).max).astype(np.int16)
