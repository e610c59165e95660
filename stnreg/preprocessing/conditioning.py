"""Intensities as networks and refinement take them: from 0 for air, and on one scale, whatever the file holds.

Most scans of the head are like that: magnitude images, air near 0, no voxel far above the brightest tissue. They are
returned as they are. The others are mapped to it:

- an offset: all intensities around a large constant, or below zero;
- values of fill outside the field of the scanner (-1024, -3024, -32768), and a few voxels far too bright;
- CT: Hounsfield units become intensities in the order of an MRI, and what is apart from the head is removed;
- a background that is bright, or noise between dark and bright (MP2RAGE, fractional anisotropy): it becomes 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import ArrayOnGrid
from stnreg.preprocessing.background import without_background
from stnreg.preprocessing.hounsfield import ct_offset, from_hounsfield

SAMPLED = 300_000
"""Number of voxels, about, that the range of intensities is estimated on."""
ORDINARY = (-0.05, 1.0)
"""Where the darkest voxels of an ordinary image lie, as a share of the range; the others have an offset."""
DEEP = 0.1
"""Voxels below the darkest by this share of the range are fill, and become 0."""
HOT, CEILING = 5.0, 2.0
"""Voxels above `HOT` times the range are errors, and all are limited to `CEILING` times the range then."""
SAFE_SCALE = (1e-6, 1e9)
"""Ranges that single precision can square."""


@dataclass(frozen=True)
class IntensityRange:
    """The range of the intensities of an image, without fill and without the brightest and darkest few.

    Attributes
    ----------
    low, high : float
        The 0.5th and the 99.9th percentile.
    """

    low: float
    high: float

    @property
    def width(self) -> float:
        """From the darkest to the brightest; above 0."""
        return self.high - self.low


def conditioned(image: ArrayOnGrid) -> ArrayOnGrid:
    """Return an image with air at 0, and without what is no signal; an ordinary one as it is.

    Parameters
    ----------
    image : (array, Grid)
        (z, y, x), any real type, finite.

    Returns
    -------
    (array, Grid)
        The array itself, or float32 from 0.
    """
    array, grid = image
    sample = _sample(array)
    offset = ct_offset(sample)
    if offset is not None:
        return from_hounsfield(array, grid, offset), grid
    found = intensity_range(sample)
    if found is None:
        return image
    return without_background((_in_range(array, found), grid)), grid


def intensity_range(sample: NDArray[Any]) -> IntensityRange | None:
    """Estimate the range of intensities; None if most voxels are alike.

    The lowest value is fill, or air that is set to one value: the range is that of the others. So is the highest, if
    many voxels have it and it is far from the others, as where NaN became 0 in an image below zero.

    Parameters
    ----------
    sample : (N,) float64
        Intensities of some voxels.
    """
    others = sample[sample > sample.min()]
    if len(others) < 0.02 * len(sample):
        return None
    low, high = (float(v) for v in np.percentile(others, (0.5, 99.9)))
    below = others[others < high]
    if len(below) < 0.99 * len(others) and len(below) > 0.02 * len(sample):
        low, next_high = (float(v) for v in np.percentile(below, (0.5, 99.9)))
        high = next_high if high - next_high > next_high - low else high
    found = IntensityRange(low, high)
    return found if found.width > 0 else None


def _sample(array: NDArray[Any]) -> NDArray[np.float64]:
    step = max(round((array.size / SAMPLED) ** (1 / 3)), 1)
    return array[step // 2 :: step, step // 2 :: step, step // 2 :: step].ravel().astype(np.float64)


def _in_range(array: NDArray[Any], found: IntensityRange) -> NDArray[Any]:
    """Take the offset off and limit what is far too bright; an array that has neither is returned as it is."""
    low, high = ORDINARY
    has_offset = not low * found.width <= found.low <= high * found.width
    base = found.low if has_offset else min(found.low, 0.0)
    is_hot = float(array.max()) - base > HOT * (found.high - base)
    is_deep = float(array.min()) < base - DEEP * found.width
    if not (has_offset or is_hot or is_deep) and SAFE_SCALE[0] < found.width < SAFE_SCALE[1]:
        return array
    out = np.empty(array.shape, np.float32)
    scale = 1.0 / (found.high - base)
    for place, part in zip(out, array, strict=True):  # double precision, slice by slice
        place[...] = np.clip((part - np.float64(base)) * scale, 0.0, CEILING)
    return out
