"""Previews of random pictures, as the page of a study holds them."""

import numpy as np
from scipy.ndimage import gaussian_filter

from stnreg.reports.tiles import picture

SIZE, SPACING_MM = (101, 80), 1.6
"""Columns and rows of a slice."""
PLACES = [{"plane": plane, "size": SIZE, "origin": [-SPACING_MM * 50, 0, 0], "number": 0} for plane in (0, 1, 2)]


def smooth(rng, pixels=3):
    """Return a random picture of three slices below each other, (240, 101)."""
    return gaussian_filter(rng.normal(size=(3 * SIZE[1], SIZE[0])), pixels) * 4 * pixels


def symmetric(image):
    return image + image[:, ::-1]


def preview(image, fixed):
    """Return a preview in which everything is brain."""
    pixels = [np.clip(100 + 20 * one, 0, 255).astype(np.uint8) for one in (fixed, image)]
    codes = np.full(fixed.shape, 32, np.uint8)
    return {
        "spacing_mm": SPACING_MM,
        "slices": PLACES,
        "fixed": picture(pixels[0]),
        "moved": picture(pixels[1], exact=True),
        "fixed_codes": picture(codes, exact=True),
    }


def with_lesion(head, *columns):
    """Darken a patch of 24 mm in the axial slice, at these columns."""
    lesion = np.zeros(head.shape)
    for column in columns:
        lesion[-50:-35, column : column + 15] = 2.5
    return head - lesion
