"""The head as a mask, for images that come without labels.

A foreground Dice only means something with its rule beside it, and even then it cannot see failure: three
registrations that ended 57 degrees wrong scored 0.83, a right one 0.95. Prefer labels.
Make the mask once per image, in its own space, and warp the mask: a rule applied to a resampled image
would judge its padding too.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import UsageProblem

DEFAULT_RULE = "share:0.2"


def foreground_mask(array: NDArray, rule: str = DEFAULT_RULE) -> NDArray[np.bool_]:
    """Find the voxels that are not air.

    Parameters
    ----------
    array : ndarray
        Intensities.
    rule : str
        `nonzero`; `share:S`, above S times the 99th percentile of all voxels; or `otsu`, above Otsu's threshold.

    Returns
    -------
    mask : ndarray of bool

    Raises
    ------
    UsageProblem
        If the rule is none of these.

    Examples
    --------
    >>> foreground_mask(np.array([0.0, 10, 30, 100]), "share:0.2")
    array([False, False,  True,  True])
    """
    return _threshold_rule(rule)(np.nan_to_num(array))


def check_rule(rule: str) -> None:
    """Refuse a rule that `foreground_mask` would not know; raises UsageProblem."""
    _threshold_rule(rule)


def _threshold_rule(rule: str) -> Callable[[NDArray], NDArray[np.bool_]]:
    name, _, number = rule.partition(":")
    if rule == "nonzero":
        return lambda array: array != 0
    if rule == "otsu":
        return _above_otsu
    try:
        share = float(number or DEFAULT_RULE.partition(":")[2])
    except ValueError:
        share = -1.0
    if name == "share" and 0 < share < 1:
        return lambda array: array > share * np.percentile(array, 99)
    raise UsageProblem(f"foreground {rule!r}: expected nonzero, share:S with 0 < S < 1, or otsu")


def _above_otsu(array: NDArray) -> NDArray[np.bool_]:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    otsu = sitk.OtsuThreshold(image, 0, 1, 256)
    return sitk.GetArrayFromImage(otsu) > 0
