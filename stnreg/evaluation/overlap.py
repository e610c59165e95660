"""Overlap of label maps on one grid: Dice and Jaccard, per label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError

LARGEST_LABEL = 2**22
"""Largest label code: codes are counted in a table. FreeSurfer's largest is 14175."""


@dataclass(frozen=True)
class LabelCounts:
    """Voxels of each label in two maps and in both at once.

    Parameters
    ----------
    labels : (L,) int64
        Codes in either map, without 0, sorted.
    fixed, moved, both : (L,) int64
        Number of voxels with the code in the fixed map, in the moved map, and in both at the same place.
    """

    labels: NDArray[np.int64]
    fixed: NDArray[np.int64]
    moved: NDArray[np.int64]
    both: NDArray[np.int64]

    def select(self, labels: Sequence[int]) -> "LabelCounts":
        """Keep these codes, in this order; codes in neither map have counts of 0."""
        place = {int(label): i for i, label in enumerate(self.labels)}
        columns = [[c[place[k]] if k in place else 0 for k in labels] for c in (self.fixed, self.moved, self.both)]
        return LabelCounts(np.array(labels), *(np.array(column, np.int64) for column in columns))


def as_labels(array: NDArray, name: str = "the label map") -> NDArray[np.int32]:
    """Convert an array of any type to integer label codes.

    Parameters
    ----------
    array : ndarray
        Whole, non-negative numbers, stored as any type (many label maps are float32 on disk).
    name : str
        Name of the map in error messages.

    Returns
    -------
    labels : ndarray of int32
        The codes. Same shape.

    Raises
    ------
    DataError
        If a value is fractional, negative, not finite, or larger than any label code.
    """
    if array.dtype == bool:
        return array.astype(np.int32)
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= 0 and high <= LARGEST_LABEL):
        raise DataError(f"{name}: expected label codes from 0 to {LARGEST_LABEL}, got {low} to {high}")
    labels = array.astype(np.int32)
    if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(labels, array):
        raise DataError(f"{name}: expected whole numbers, got fractions; resample label maps with label interpolation")
    return labels


def count_labels(fixed: NDArray, moved: NDArray) -> LabelCounts:
    """Count every label of two maps in one pass over the voxels.

    Parameters
    ----------
    fixed, moved : (z, y, x) int
        Label maps on the same grid.

    Returns
    -------
    counts : LabelCounts
        Of all codes in either map.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> counts = count_labels(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    >>> counts.labels, counts.both
    (array([1, 2]), array([1, 1]))
    """
    if fixed.shape != moved.shape:
        raise DataError(f"label maps lie on different grids: {fixed.shape} and {moved.shape} voxels (z, y, x)")
    size = int(max(fixed.max(initial=0), moved.max(initial=0))) + 1
    in_fixed = np.bincount(fixed.ravel(), minlength=size)
    in_moved = np.bincount(moved.ravel(), minlength=size)
    in_both = np.bincount(fixed[fixed == moved].ravel(), minlength=size)
    labels = np.flatnonzero(in_fixed + in_moved)
    labels = labels[labels != 0]
    return LabelCounts(labels, in_fixed[labels], in_moved[labels], in_both[labels])


def dice(counts: LabelCounts) -> NDArray[np.float64]:
    """Dice's coefficient per label, 2|A and B| / (|A| + |B|).

    Parameters
    ----------
    counts : LabelCounts

    Returns
    -------
    dice : (L,) float64
        From 0 to 1; NaN for a label that neither map has.

    References
    ----------
    Dice, "Measures of the Amount of Ecologic Association Between Species", Ecology 1945.

    Examples
    --------
    >>> dice(count_labels(np.array([1, 1, 0]), np.array([1, 0, 0])))
    array([0.66666667])
    """
    return _ratio(2 * counts.both, counts.fixed + counts.moved)


def jaccard(counts: LabelCounts) -> NDArray[np.float64]:
    """Jaccard's index per label, |A and B| / |A or B|; NaN for a label that neither map has.

    Examples
    --------
    >>> jaccard(count_labels(np.array([1, 1, 0]), np.array([1, 0, 0])))
    array([0.5])
    """
    return _ratio(counts.both, counts.fixed + counts.moved - counts.both)


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
