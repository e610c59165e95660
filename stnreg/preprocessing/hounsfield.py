"""CT: recognise Hounsfield units, and map them to intensities in the order of an MRI."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.components import largest_component, onto
from stnreg.resampling.block_mean import block_mean

AIR = (-1060.0, -940.0)
"""Hounsfield units of air, with noise."""
LUNG = (-900.0, -300.0)
"""Between air and fat: partial volume alone, in a head."""
SOFT = (-150.0, 120.0)
"""Fat, fluid, brain, muscle, blood."""
BELOW_WATER = -40.0
"""Fat, and what is partly air."""
TISSUE_HU = -300.0
OFFSETS = (0.0, 1024.0, 1000.0)
"""What is added to Hounsfield units in some files, so that air is about 0."""
POINTS = (
    (-1000, 0.0), (-300, 0.02), (-100, 0.35), (-30, 0.30), (0, 0.20), (12, 0.35), (25, 0.60), (40, 0.85), (60, 1.0),
    (90, 1.0), (150, 0.6), (300, 0.12), (1000, 0.05), (3000, 0.05),
)  # fmt: skip
"""Hounsfield units and intensities. Within the brain a narrow window: fluid dark, white matter darker than gray. Bone
is dark, and fat of the scalp bright, as in an MRI."""
COMPONENT_MM = 4.0
OPENING_MM = 8.0
"""Thinner than this is the table, the head holder or a wire."""


def ct_offset(sample: NDArray[np.float64]) -> float | None:
    """Return what was added to the Hounsfield units of a sample of voxels; None if it is no CT of a head in air.

    A CT has much air at -1000, little up to -300, some fat and partial volume below water, and most of the rest within
    150 of water. No MRI has tissues in so narrow a range so far from air, but one whose fill is -1024 has its air
    there; it has nothing between the two.
    """
    for offset in OFFSETS:
        units = sample - offset
        is_tissue = units > LUNG[0]
        tissue, air = units[is_tissue], units[(units > AIR[0]) & (units < AIR[1])]
        if len(tissue) < 0.02 * len(units) or len(air) < 0.02 * len(units):
            continue
        between = ((tissue > LUNG[0]) & (tissue < LUNG[1])).mean()
        fat = ((tissue > LUNG[0]) & (tissue < BELOW_WATER)).mean()
        soft = ((tissue > SOFT[0]) & (tissue < SOFT[1])).mean()
        if between < 0.3 and fat > 0.01 and soft > 0.4 and np.percentile(tissue, 99) > 200:
            return offset
    return None


def from_hounsfield(array: NDArray[Any], grid: Grid, offset: float = 0.0) -> NDArray[np.float32]:
    """Map Hounsfield units to intensities from 0 to 1 in the order of an MRI, of the head alone.

    Parameters
    ----------
    array : (z, y, x)
        Hounsfield units plus `offset`.
    grid : Grid
    offset : float
        As `ct_offset` returns it.
    """
    out = _mapped(array, offset)
    means, coarse = block_mean(np.maximum(array, offset - 1000), grid, COMPONENT_MM)
    head = largest_component(means > offset + TISSUE_HU, coarse, OPENING_MM)
    return out if head is None else out * onto(head, coarse, grid)


def _mapped(array: NDArray[Any], offset: float) -> NDArray[np.float32]:
    """Map Hounsfield units plus `offset` to intensities, bone, fat and air too."""
    units, intensities = np.array(POINTS).T
    if array.dtype in (np.int16, np.uint16):  # as a scanner stores them: one look into a table
        codes = np.arange(65536, dtype=np.uint16)
        table = np.interp(codes.view(array.dtype) - offset, units, intensities).astype(np.float32)
        found: NDArray[np.float32] = table[np.ascontiguousarray(array).view(np.uint16)]
        return found
    steps = np.arange(units[0], units[-1] + 1)
    table = np.interp(steps, units, intensities).astype(np.float32)
    out = np.empty(array.shape, np.float32)
    for place, part in zip(out, array, strict=True):
        place[...] = table[(np.clip(part - np.float64(offset), units[0], units[-1]) - units[0] + 0.5).astype(np.intp)]
    return out
