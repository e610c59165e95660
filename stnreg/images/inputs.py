"""Image arguments of the Python API: a path, a Volume, a nibabel image or a SimpleITK image."""

import os
from dataclasses import replace
from typing import Any

import numpy as np

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.volume import HOW_TO_CHOOSE, HeaderSource, Volume, check_volume, load_volume

Image = str | os.PathLike[str] | Volume | Any
"""Image arguments. `Any` stands for nibabel and SimpleITK images, which need not be imported."""


def as_volume(
    image: Image, header_source: HeaderSource = "auto", *, series: bool = False, constant: bool = False
) -> Volume:
    """Convert an image argument to a Volume.

    Parameters
    ----------
    image : path, Volume, nibabel image or SimpleITK.Image
        For a nibabel image `affine` is used; `header_source` is ignored.
    header_source, series, constant
        As `load_volume`.

    Returns
    -------
    volume : Volume
        A Volume is returned unchanged.

    Raises
    ------
    DataError
        If it is none of these, or not a 3-D scalar image.

    Examples
    --------
    >>> import SimpleITK
    >>> image = SimpleITK.GetImageFromArray(np.arange(24.0).reshape(2, 3, 4))
    >>> image.SetSpacing((1.0, 2.0, 3.0))
    >>> as_volume(image).grid.spacing
    array([1., 2., 3.])
    """
    if isinstance(image, Volume):
        return image
    if isinstance(image, str | os.PathLike):
        return load_volume(image, header_source, series=series, constant=constant)
    library = type(image).__module__.partition(".")[0]
    if library == "SimpleITK":
        return check_volume(_from_simpleitk(image), series=series, constant=constant)
    if library == "nibabel":
        return check_volume(_from_nibabel(image), series=series, constant=constant)
    raise DataError(f"expected a path, or an image of nibabel or SimpleITK, got {type(image).__name__}")


def take_volume(image: Volume, which: str | int | None) -> Volume:
    """Select one volume of a series, or the mean of all; a 3-D image is returned unchanged.

    Parameters
    ----------
    image : Volume
        Its array may be (t, z, y, x).
    which : int, "mean" or None
        From 0. None is valid for a 3-D image only.

    Raises
    ------
    UsageProblem
        If `which` is none of these.
    DataError
        If there is no such volume, none was selected from a series, or it is constant.
    """
    if which is not None and which != "mean" and not str(which).isdigit():
        raise UsageProblem(f"expected a volume's number, from 0, or mean; got {which!r}")
    if image.array.ndim == 3:
        return image
    count = len(image.array)
    if which is None:
        raise DataError(f"{image.path}: is a series of {count} volumes. {HOW_TO_CHOOSE}", argument="volume")
    if which == "mean":
        array = image.array.mean(axis=0, dtype=np.float64).astype(np.float32)
    elif int(which) < count:
        array = image.array[int(which)]
    else:
        raise DataError(f"{image.path}: has no volume {which}; it holds {count}, numbered from 0 to {count - 1}.")
    return check_volume(replace(image, array=array))


def _from_simpleitk(image: Any) -> Volume:
    import SimpleITK as sitk

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError("expected a 3-D scalar image, got a SimpleITK image of another kind")
    direction = np.reshape(image.GetDirection(), (3, 3))
    grid = Grid.from_parts(image.GetSize(), image.GetSpacing(), image.GetOrigin(), direction)
    return Volume(sitk.GetArrayFromImage(image), grid, path="the SimpleITK image")


def _from_nibabel(image: Any) -> Volume:
    path = image.get_filename() or "the nibabel image"
    if len(image.shape) < 3:
        raise DataError(f"{path}: expected a 3-D image, got the shape {image.shape}")
    x, y, z = image.shape[:3]
    index_to_lps = lps_from_ras(np.asarray(image.affine, np.float64))
    # Without the header, so that both forms of outputs are set from `affine`.
    return Volume(np.asarray(image.dataobj).transpose(), Grid((x, y, z), index_to_lps), path=path)
