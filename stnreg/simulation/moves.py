"""Ranges of random transforms by kind; uniform distributions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stnreg.geometry.affine import random_affine
from stnreg.geometry.matrix import Matrix


@dataclass(frozen=True)
class Ranges:
    """Ranges per axis, plus or minus.

    Attributes
    ----------
    rotation_deg, translation_mm : float
    scale : float
        0.15 means factors between 1 / 1.15 and 1.15, uniform in their logarithm.
    shear : float
    """

    rotation_deg: float = 0.0
    translation_mm: float = 0.0
    scale: float = 0.0
    shear: float = 0.0


RANGES: dict[str, Ranges] = {
    "affine": Ranges(30.0, 30.0, 0.15, 0.1),
    "rotated": Ranges(rotation_deg=30.0),
    "translated": Ranges(translation_mm=30.0),
    "rototranslated": Ranges(30.0, 30.0),
    "heads": Ranges(30.0, 30.0, 0.15, 0.1),
    "follow-up": Ranges(30.0, 30.0),
    "cubes": Ranges(30.0, 15.0, 0.15),
}
SMALL_POSE = Ranges(rotation_deg=4.0, translation_mm=4.0)  # heads are never positioned exactly


def random_move(ranges: Ranges, center_lps: ArrayLike, rng: np.random.Generator) -> Matrix:
    """Draw a (4, 4) affine about a centre, LPS mm."""
    return random_affine(
        rng,
        center_lps=center_lps,
        translation_mm=ranges.translation_mm,
        rotation_deg=ranges.rotation_deg,
        scale=1 + ranges.scale,
        shear=ranges.shear,
    )
