"""Noise-free intensities for a label map, by contrast, person and session."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnreg.simulation.fields import Array, Shape, smooth_field, voronoi_parts
from stnreg.simulation.tissues import CONTRASTS, EYES, HEAD, NAMES, tissue_of_code


@dataclass(frozen=True, eq=False)
class Person:
    """The random properties of a person, equal in all scans.

    Attributes
    ----------
    uneven : (z, y, x) float32
        Smooth variation of tissue intensity, about 6 voxels wide; relative.
    parts : (z, y, x) int
        Random parts of the tissue outside the brain, which has one label only.
    part_factor : (parts,) float32
        Brightness of each part.
    """

    uneven: Array
    parts: NDArray[np.intp]
    part_factor: Array


def random_person(shape: Shape, rng: np.random.Generator) -> Person:
    """Draw the properties of a person that a label map does not define."""
    uneven = rng.uniform(0.02, 0.05) * smooth_field(shape, tuple(max(n // 6, 2) for n in shape), rng)
    count = int(rng.integers(40, 120))
    factor = 1 + rng.uniform(0.1, 0.35) * rng.standard_normal(count, dtype=np.float32)
    return Person(uneven, voronoi_parts(shape, count, rng), factor.clip(0.3, 1.7))


def random_palette(contrast: str, rng: np.random.Generator) -> Array:
    """Draw the mean of every byte code, (256,), near those of a contrast; relative to the brightest brain tissue."""
    outside = np.arange(len(NAMES)) >= NAMES.index("soft")
    spread = np.where(outside, 0.08, 0.03)
    mean = np.array(CONTRASTS[contrast]) * (1 + spread * rng.standard_normal(len(NAMES)))
    palette = mean[tissue_of_code()] + 0.01 * rng.standard_normal(256)
    palette[0] = mean[0]
    palette[EYES] = mean[NAMES.index("fluid")]
    return palette.clip(0).astype(np.float32)


def paint(codes: NDArray[np.uint8], person: Person, palette: Array) -> Array:
    """Return noise-free intensities on the grid of the label map, before blur, bias field and noise.

    Parameters
    ----------
    codes : (z, y, x) uint8
        Byte codes.
    person : Person
    palette : (256,) float32

    Returns
    -------
    (z, y, x) float32
        0 to about 1.3.
    """
    image = palette[codes]
    image *= 1 + person.uneven
    outside = codes >= HEAD
    image[outside] *= person.part_factor[person.parts[outside]]
    return image
