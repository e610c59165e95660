"""Tissues of the head: their codes, and their intensity in each contrast.

Codes are FreeSurfer's, with the extended head labels (500 and up) stored minus 300, to fit into a byte.
"""

import numpy as np
from numpy.typing import NDArray

# Tissue classes and the codes that belong to them.
TISSUES: dict[str, tuple[int, ...]] = {
    "air": (0, 206, 209),
    "white": (2, 41, 7, 46, 16, 28, 60, 212),
    "gray": (3, 42, 8, 47, 17, 53, 18, 54, 26, 58),
    "deep": (10, 49, 13, 52),
    "striatum": (11, 50, 12, 51, 85, 230),
    "fluid": (4, 43, 5, 44, 14, 15, 24, 72),
    "plexus": (136, 163, 137, 164, 30, 62),
    "lesion": (25, 57),
    "soft": (207, 208, 202),
    "fat": (211,),
    "dura": (214,),
    "bone": (215,),
    "marrow": (216,),
}
NAMES = tuple(TISSUES)

# Mean intensity of each tissue per contrast, in the order of TISSUES; relative to the brightest brain tissue.
CONTRASTS: dict[str, tuple[float, ...]] = {
    #      air   white gray  deep  stri  fluid plex  lesion soft  fat   dura  bone  marrow
    "t1": (0.02, 1.00, 0.72, 0.86, 0.76, 0.28, 0.50, 0.68, 0.55, 1.10, 0.45, 0.18, 0.85),
    "t2": (0.02, 0.45, 0.62, 0.48, 0.55, 1.00, 0.85, 0.75, 0.40, 0.70, 0.45, 0.12, 0.50),
    "flair": (0.02, 0.60, 0.80, 0.66, 0.74, 0.15, 0.50, 1.00, 0.50, 0.80, 0.45, 0.12, 0.50),
    "pd": (0.02, 0.68, 0.88, 0.76, 0.82, 1.00, 0.90, 0.90, 0.65, 0.85, 0.55, 0.15, 0.60),
}
EYES, AIRWAYS = 206, 209
FLUID_AROUND = 24  # CSF around the brain
VENTRICLES = (4, 43, 5, 44, 136, 163, 137, 164)  # the lateral ones, with their choroid plexus
HEAD = 200  # byte codes from here on are outside the brain
FIRST_OUTSIDE = 500  # the same in FreeSurfer's numbers


def to_byte_codes(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Convert FreeSurfer codes to bytes: 300 is subtracted from codes of 256 and more.

    Examples
    --------
    >>> to_byte_codes(np.array([2, 53, 515]))
    array([  2,  53, 215], dtype=uint8)
    """
    return np.where(codes >= 256, codes - 300, codes).astype(np.uint8)


def tissue_of_code() -> NDArray[np.int64]:
    """Return the tissue index of every byte code, (256,); unknown codes are gray matter, or soft tissue outside."""
    table = np.full(256, NAMES.index("soft"), np.int64)
    table[:HEAD] = NAMES.index("gray")
    for k, codes in enumerate(TISSUES.values()):
        table[list(codes)] = k
    return table


def brain_of(byte_codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the brain mask: tissue and ventricles, without the CSF around."""
    return (byte_codes > 0) & (byte_codes < HEAD) & (byte_codes != FLUID_AROUND)
