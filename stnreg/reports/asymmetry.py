"""How much the two sides of a brain differ, which a lesion of one side changes, and which scans stand out by it.

A lesion hardly changes an affine registration, so that no score tells of it. But a fresh or old stroke, a tumour or its
swelling is brighter or darker than the same place on the other side, over more than a gyrus. What is the same on both
sides, such as the contrast of the scan or wide ventricles, does not count, and neither does a lesion on both sides.
"""

from collections.abc import Sequence

import numpy as np

from stnreg.reports.shown import Array, Shown, is_symmetric, smoothed_mask

DETAIL_MM = 6.0
"""Standard deviation of the smoothing: gyri, which differ in everyone, are taken out."""
PART = 99.0
"""Percentile of the differences that is the measure: lesions fill some per cent of the slices that they are in."""
FAR = 3.5
"""What is further above the median than this many scaled median deviations stands out, as an outlier on the page."""

ONE_SIDED = "left and right differ more than in the other scans, as where there is a lesion on one side"


def asymmetry(slices: Sequence[Shown]) -> float | None:
    """Return the strongest differences between left and right in a preview, in units of the brain's median intensity.

    None if the fixed image is not symmetric about the plane x = 0, or the moved image is empty.
    """
    from scipy.ndimage import gaussian_filter

    if not is_symmetric(slices):
        return None
    median = float(np.median(np.concatenate([one.moved[one.brain] for one in slices])))
    if median <= 0:
        return None
    found: list[Array] = []
    for one in slices:
        if not one.both.any():
            continue
        sigma = DETAIL_MM / one.spacing_mm
        # The mean over the brain alone: its edge must not look dark on the side where more of it is cut off.
        smooth = gaussian_filter(one.moved * one.brain, sigma) / np.maximum(smoothed_mask(one.brain, sigma), 0.05)
        found.append(np.abs(smooth - smooth[:, one.other])[one.half])
    return float(np.percentile(np.concatenate(found), PART)) / median


def usual_limit(values: Sequence[float]) -> float:
    """Return what is far above the others, by their median and its scaled median deviation."""
    median = float(np.median(values))
    return median + FAR * 1.4826 * float(np.median(np.abs(np.array(values) - median)))
