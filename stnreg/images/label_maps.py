"""Detect label maps, to warn before their labels are blurred by interpolation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.images.volume import Volume

SAMPLED = 500_000
"""Maximum number of voxels that are tested, in whole slices spread over the map."""
MOST_LABELS = 10_000
NEAR_WHOLE = 1e-3
"""Tolerance for whole numbers: labels may be stored with a slope or as floating point."""
LEAST_EQUAL = 0.55
"""Fraction of equal neighbours outside the background: 0.7 and more in parcellations, 0.4 and less in scans."""
FEW = 6
MOST_STEPS = 0.5
"""Fraction of unequal neighbours with adjacent values: larger in a smooth image of few grey levels."""
KEEPING = ("nearest", "label")


def blurred(image: Volume, interp: str) -> tuple[str, ...]:
    """Return a warning if an image looks like a label map and the interpolation would mix its labels.

    Parameters
    ----------
    image : Volume
        As read; a series is not tested.
    interp : str
        Interpolation of the image.
    """
    if interp in KEEPING or not looks_like_labels(image.array):
        return ()
    return (
        f"{image.path}: looks like a label map; {interp} interpolation mixes its labels, nearest or label "
        "interpolation keeps them.",
    )


def looks_like_labels(array: NDArray[Any]) -> bool:
    """Return whether an array (z, y, x) looks like labels: few whole numbers, in patches.

    Examples
    --------
    >>> looks_like_labels(np.pad(np.ones((4, 4, 4), np.uint8), 2))
    True
    >>> looks_like_labels(np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    False
    """
    if array.ndim != 3 or array.dtype.kind not in "iubf":
        return False
    step = -(-array.size // SAMPLED)  # a small lesion may lie between the sampled slices
    for sample in (array[step // 2 :: step], array) if step > 1 else (array,):
        whole = np.rint(sample) if sample.dtype.kind == "f" else sample
        if whole is not sample and not np.allclose(whole, sample, rtol=0, atol=NEAR_WHOLE):
            return False
        values, counts = np.unique(whole, return_counts=True)
        if len(values) > 1:
            return _is_patchy(whole, values, values[counts.argmax()])
    return False


def _is_patchy(array: NDArray[Any], values: NDArray[Any], background: Any) -> bool:
    if len(values) <= 2:
        return True
    if len(values) > MOST_LABELS:
        return False
    ranks = np.searchsorted(values, array).astype(np.int32)
    outside = int(np.searchsorted(values, background))
    jumps = np.concatenate(
        [
            np.abs(one - other)[(one != outside) | (other != outside)]
            for one, other in ((ranks[:, :-1], ranks[:, 1:]), (ranks[:, :, :-1], ranks[:, :, 1:]))
        ]
    )
    unequal = jumps[jumps > 0]
    if len(unequal) >= (1 - LEAST_EQUAL) * len(jumps):
        return False
    return len(values) <= FEW or bool(np.mean(unequal == 1) < MOST_STEPS)
