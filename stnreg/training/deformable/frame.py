"""The frame in which two heads are deformed onto each other, and its box of voxels.

The frame is the template's: LPS mm about the middle of a mean brain. A head comes to it by an affine of its own, so
heads in it differ by what an affine leaves. Numpy alone.
"""

import numpy as np

Array = np.ndarray
EXTENT_MM = (160.0, 192.0, 160.0)  # of the box, along x, y, z, about the frame's origin


def box_corners_mm(margin_mm: float = 0.0) -> Array:
    """Return the eight outer corners of the box, (8, 3) frame LPS mm (x, y, z)."""
    half = np.array(EXTENT_MM) / 2 + margin_mm
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return signs * half
