"""Resample an image to another grid, in one interpolation; grids may be sheared."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.core.itk import has_itk
from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import check_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.resampling.by_scipy import by_matrix
from stnreg.resampling.labels import vote

Interpolation = Literal["linear", "nearest", "bspline", "lanczos", "label"]
INTERPOLATIONS = ("linear", "nearest", "bspline", "lanczos", "label")
KEEPING = ("nearest", "label")
"""Interpolations that keep the type of the image."""
PLAIN = {"label": "nearest"}
"""What comes before the vote on labels."""

_ITK_NAME = {
    "linear": "sitkLinear",
    "nearest": "sitkNearestNeighbor",
    "bspline": "sitkBSpline",
    "lanczos": "sitkLanczosWindowedSinc",
    "label": "sitkNearestNeighbor",  # the vote follows
}


def resample(
    array: NDArray[Any],
    moving_grid: Grid,
    fixed_grid: Grid,
    fixed_to_moving: ArrayLike,
    interp: Interpolation = "linear",
    background: float = 0.0,
    threads: int | None = None,
) -> NDArray[Any]:
    """Resample a moving image to the fixed grid.

    ITK resamples between two images with identity geometry, by the affine from fixed index to moving index: it does
    not support sheared grids. Without SimpleITK, scipy does, except for lanczos.

    Parameters
    ----------
    array : (z, y, x)
        The moving image, a real or integer type.
    moving_grid, fixed_grid : Grid
        Grid of `array`, and of the result.
    fixed_to_moving : (4, 4) float64
        Maps fixed LPS points to moving LPS points, mm.
    interp : {"linear", "nearest", "bspline", "lanczos", "label"}
        "label" is the label with the largest linear weight among the eight neighbours.
    background : float
        Value of fixed voxels outside the moving image (over half a voxel beyond its outer centres).
    threads : int, optional
        Of ITK; ITK's default if None. The result does not depend on it.

    Returns
    -------
    moved : (z, y, x)
        On `fixed_grid`; the type of `array` for "nearest" and "label", else float32.

    Raises
    ------
    DataError
        If `array` is not on `moving_grid`.
    UsageProblem
        If the interpolation is none of these.
    """
    if interp not in INTERPOLATIONS:
        raise UsageProblem(f"expected an interpolation out of {', '.join(INTERPOLATIONS)}, got {interp!r}")
    if array.shape != moving_grid.shape:
        raise DataError(f"expected an array on the moving grid {moving_grid.shape}, got {array.shape}")
    index_to_index = moving_grid.lps_to_index @ check_affine(fixed_to_moving) @ fixed_grid.index_to_lps
    known = _known_to_itk(array)
    if has_itk():
        moved = _by_itk(known, index_to_index, fixed_grid, interp, background, threads)
    else:
        moved = by_matrix(known, index_to_index, fixed_grid.shape, PLAIN.get(interp, interp), background)
    if interp == "label":
        vote(known, index_to_index, moved, threads)
    return moved.astype(array.dtype, copy=False) if interp in KEEPING else moved


def _by_itk(
    array: NDArray[Any],
    index_to_index: Matrix,
    fixed_grid: Grid,
    interp: Interpolation,
    background: float,
    threads: int | None,
) -> NDArray[Any]:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(fixed_grid.size)
    resampler.SetTransform(_itk_affine(index_to_index))
    resampler.SetInterpolator(getattr(sitk, _ITK_NAME[interp]))
    resampler.SetDefaultPixelValue(float(background))
    resampler.SetOutputPixelType(image.GetPixelID() if interp in KEEPING else sitk.sitkFloat32)
    if threads is not None:
        resampler.SetNumberOfThreads(threads)
    return np.asarray(_Held(resampler.Execute(image)))


class _Held:
    """Wraps an ITK image for `np.asarray` without a copy; the array keeps the image alive."""

    def __init__(self, image: Any) -> None:
        import SimpleITK as sitk

        self.image = image
        view = sitk.GetArrayViewFromImage(image).__array_interface__
        self.__array_interface__ = view | {"data": (view["data"][0], False)}  # False: writable


def _itk_affine(a_to_b: Matrix) -> Any:
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(a_to_b[:3, :3].ravel().tolist())
    transform.SetTranslation(a_to_b[:3, 3].tolist())
    return transform


def _known_to_itk(array: NDArray[Any]) -> NDArray[Any]:
    """Convert types that ITK lacks: booleans and half precision."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    return array.astype(np.float32) if array.dtype == np.float16 else array
