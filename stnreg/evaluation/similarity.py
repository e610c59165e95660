"""Similarity of two images on one grid, over the voxels of a mask.

All functions take the intensities of the same voxels as two flat arrays. Mutual information comes from a joint
histogram of equal bins, the first centred on each image's least value over those voxels and the last on its
greatest (as MedPy places them), with natural logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError

DEFAULT_BINS = 64


def joint_histogram(fixed: NDArray, moved: NDArray, bins: int = DEFAULT_BINS) -> NDArray[np.float64]:
    """Joint histogram of two images, normalised to probabilities.

    Parameters
    ----------
    fixed, moved : (N,) float
        Intensities of the same N voxels.
    bins : int
        Equal bins per image, centred from its minimum to its maximum.

    Returns
    -------
    probability : (bins, bins) float64
        Rows follow the fixed image; sums to 1.

    Raises
    ------
    DataError
        If there are no voxels.
    """
    if len(fixed) == 0:
        raise DataError("no voxel to compare: the mask or the overlap of the two images is empty")
    index = _bin_index(fixed, bins) * bins + _bin_index(moved, bins)
    return np.bincount(index, minlength=bins * bins).reshape(bins, bins) / len(fixed)


def mutual_information(joint: NDArray[np.float64]) -> float:
    """Mutual information in nats, H(F) + H(M) - H(F, M); higher is better, never negative.

    Parameters
    ----------
    joint : (bins, bins) float64
        From `joint_histogram`.

    Examples
    --------
    Two equally frequent values, known from each other, share ln 2:

    >>> joint = joint_histogram(np.array([0.0, 0, 9, 9]), np.array([5.0, 5, 3, 3]))
    >>> round(mutual_information(joint), 4)
    0.6931
    """
    return max(0.0, _entropy(joint.sum(1)) + _entropy(joint.sum(0)) - _entropy(joint))


def normalised_mutual_information(joint: NDArray[np.float64]) -> float:
    """Studholme's normalised mutual information, (H(F) + H(M)) / H(F, M), from 1 to 2.

    NaN where both images are constant. The other definitions in use (2 MI / (H + H), MI / sqrt(H H)) run from 0 to 1.

    Parameters
    ----------
    joint : (bins, bins) float64
        From `joint_histogram`.

    References
    ----------
    Studholme, Hill, Hawkes, "An overlap invariant entropy measure of 3D medical image alignment",
    Pattern Recognition 1999, eq. 8.

    Examples
    --------
    >>> normalised_mutual_information(joint_histogram(np.array([0.0, 0, 9, 9]), np.array([5.0, 5, 3, 3])))
    2.0
    """
    together = _entropy(joint)
    return (_entropy(joint.sum(1)) + _entropy(joint.sum(0))) / together if together > 0 else float("nan")


def normalised_cross_correlation(fixed: NDArray, moved: NDArray) -> float:
    """Pearson's correlation of the intensities, from -1 to 1; NaN where one image is constant.

    Examples
    --------
    >>> round(normalised_cross_correlation(np.array([1.0, 2, 3]), np.array([30.0, 50, 70])), 6)
    1.0
    """
    f = np.asarray(fixed, np.float64) - np.mean(fixed, dtype=np.float64)
    m = np.asarray(moved, np.float64) - np.mean(moved, dtype=np.float64)
    scale = np.sqrt((f @ f) * (m @ m))
    return float(f @ m / scale) if scale > 0 else float("nan")


def mean_squared_error(fixed: NDArray, moved: NDArray) -> float:
    """Mean squared difference of the intensities as they stand, in squared intensity units."""
    difference = np.asarray(fixed, np.float64) - moved
    return float(difference @ difference / len(difference))


def _bin_index(values: NDArray, bins: int) -> NDArray[np.int64]:
    """Index of the bin whose centre is nearest, for `bins` centres from the least to the greatest value."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(len(values), np.int64)
    scaled = values.astype(np.float64)  # then in place: a head has 17 million voxels
    scaled -= low
    scaled *= (bins - 1) / (high - low)
    scaled += 0.5
    return scaled.astype(np.int64)


def _entropy(probability: NDArray[np.float64]) -> float:
    p = probability[probability > 0]
    return float(-(p @ np.log(p)))
