"""Images that nibabel opens: headers that it is stricter with than other tools, and the scaling of stored numbers."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.images.headers import MM_PER_UNIT, QUATERNION_ROUNDING, believable_unit, unit_notes

WHOLE, FINE_SLOPE = 1e-3, 0.02
"""Scaled values closer to whole numbers than this, all of them, are whole numbers: labels stored by a slope. Where the
slope is fine, half of it is rounding too."""


def open_with_nibabel(path: Path) -> Any:
    """Open an image with nibabel, a header whose quaternion is longer than 1 by rounding too.

    nibabel allows less rounding than a header in single precision can have, and refuses the whole file, even where the
    sform is used.
    """
    import nibabel

    try:
        return nibabel.load(path)
    except (ValueError, nibabel.filebasedimages.ImageFileError) as error:
        if "w2 should be positive" not in str(error):
            raise
        kind = next((kind for kind in _tolerant() if kind.path_maybe_image(path)[0]), None)
        if kind is None:
            raise
        return kind.from_filename(path)


@cache
def _tolerant() -> tuple[Any, ...]:
    """Return the NIfTI classes of nibabel, with headers that allow for `QUATERNION_ROUNDING`."""
    import nibabel

    kinds = (nibabel.Nifti1Image, nibabel.Nifti1Pair, nibabel.Nifti2Image, nibabel.Nifti2Pair)

    def tolerant(kind: Any) -> Any:
        header = type(kind.header_class.__name__, (kind.header_class,), {"quaternion_threshold": -QUATERNION_ROUNDING})
        return type(kind.__name__, (kind,), {"header_class": header})

    return tuple(map(tolerant, kinds))


def mm_per_unit(image: Any, path: Path) -> tuple[float, tuple[str, ...]]:
    """Return how many millimetres an Analyze header's unit of length is, and the warning about it; 1 for others."""
    import nibabel

    if not isinstance(image, nibabel.AnalyzeImage):
        return 1.0, ()
    said = MM_PER_UNIT.get(bytes(image.header["vox_units"].item()).decode("latin-1").strip(" \0").lower(), 1.0)
    field_of_view = max(
        float(spacing) * count for spacing, count in zip(image.header.get_zooms()[:3], image.shape[:3], strict=True)
    )
    return believable_unit(said, field_of_view), unit_notes(said, field_of_view, str(path))


def scaled(array: NDArray[Any], slope: np.float64, inter: np.float64) -> NDArray[np.float32]:
    """Return slope * array + inter in single precision; whole numbers where all are whole to rounding.

    Labels stored by a slope come back as 7014.9999 otherwise, and are fractions to everything that counts labels.

    Parameters
    ----------
    array : ndarray
        As stored; its first axis is not empty.
    slope, inter : float64
        Of the header.

    Examples
    --------
    >>> scaled(np.array([0, 1, 3], np.int16), np.float64(0.99995), np.float64(0))
    array([0., 1., 3.], dtype=float32)
    >>> scaled(np.array([0, 1, 2], np.int16), np.float64(0.0001), np.float64(0))
    array([0.    , 0.0001, 0.0002], dtype=float32)
    """
    out = np.empty(array.shape, np.float32)
    is_whole, largest = array.dtype.kind in "iu", 0.0
    rounding = max(WHOLE, 0.51 * abs(float(slope))) if abs(slope) <= FINE_SLOPE else WHOLE
    for k, part in enumerate(array):  # double precision, slice by slice
        values = part * slope + inter
        out[k] = values
        if is_whole:
            whole = np.rint(values)
            is_whole = bool((np.abs(values - whole) <= rounding).all())
            largest = max(largest, float(np.abs(whole).max()))
    return np.rint(out, out=out) if is_whole and largest >= 1 else out
