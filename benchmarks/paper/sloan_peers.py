"""SimpleITK on the pairs of the table of Sloan et al.: rigid, mutual information, coarse to fine."""

from typing import Any

import numpy as np

from stnreg.baselines.run import align
from stnreg.geometry.grid import Grid
from stnreg.geometry.theta import theta_from_affine
from stnreg.images.volume import Volume

Array = np.ndarray


def align_volumes(fixed: Array, moving: Array, spacing_mm: float) -> Array:
    """Register two cubes by the recipe `sitk-rigid`; return theta (3, 4)."""
    cube = Grid.cube((0, 0, 0), fixed.shape[0], spacing_mm)
    found = align(Volume(fixed, cube), Volume(moving, cube), "sitk-rigid", threads=1).fixed_to_moving
    return theta_from_affine(found, cube, cube)


def align_slices(fixed: Array, moving: Array, spacing_mm: float) -> Array:
    """Register two slices; return rotation (rad) and translation (half-edges) about the centre, (3,)."""
    import SimpleITK as sitk

    size = fixed.shape[0]
    f, m = (_image(one, spacing_mm) for one in (fixed, moving))
    transform = sitk.Euler2DTransform(
        sitk.CenteredTransformInitializer(
            f, m, sitk.Euler2DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
        )
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 200, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([spacing_mm, 0.0])
    method.SetInitialTransform(transform, inPlace=True)
    method.SetNumberOfThreads(1)
    method.Execute(f, m)
    center = np.array(transform.GetCenter())
    turn = np.reshape(transform.GetMatrix(), (2, 2))
    shift = np.array(transform.GetTranslation()) + center - turn @ center  # about the centre of the slice, which is 0
    return np.r_[transform.GetAngle(), shift / (size * spacing_mm / 2)]


def _image(array: Array, spacing_mm: float) -> Any:
    """Return a slice as an image about its centre."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    image.SetSpacing((spacing_mm, spacing_mm))
    image.SetOrigin((-(array.shape[1] - 1) / 2 * spacing_mm, -(array.shape[0] - 1) / 2 * spacing_mm))
    return image
