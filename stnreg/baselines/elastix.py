"""Elastix by itk-elastix, with its default parameter maps."""

from pathlib import Path
from typing import Any

import numpy as np

from stnreg.baselines.engines import EngineMissing, silent
from stnreg.baselines.recipes import Recipe
from stnreg.errors import DataError
from stnreg.geometry.affine import axis_rotations, compose
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run elastix; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    itk = _itk()
    with silent("elastix"):
        found = _run(itk, fixed, moving, recipe, threads).GetTransformParameterObject()
        maps = [dict(found.GetParameterMap(k)) for k in range(found.GetNumberOfParameterMaps())]
    return compose(*[parameter_map_matrix(each) for each in reversed(maps)])  # the first map acts on a point first


def deform(fixed: Volume, moving: Volume, recipe: Recipe, start: Matrix, *, threads: int, folder: Path) -> Transform:
    """Run elastix from an affine; see `stnreg.baselines.simpleitk.deform` for the arguments.

    Elastix looks for its spline behind the affine: a fixed point meets the affine first.
    """
    itk = _itk()
    with silent("elastix"):
        initial = itk.ParameterObject.New()
        initial.AddParameterMap(_affine_map(start, fixed))
        method = _run(itk, fixed, moving, recipe, threads, initial)
        transformix = itk.TransformixFilter.New(_image(itk, moving))
        transformix.SetTransformParameterObject(method.GetTransformParameterObject())
        transformix.ComputeDeformationFieldOn()
        transformix.SetLogToConsole(False)
        transformix.SetOutputDirectory(str(folder))  # where it also writes the field
        transformix.UpdateLargestPossibleRegion()
        vectors = itk.array_from_image(transformix.GetOutputDeformationField())
        itk.imwrite(method.GetOutput(), str(folder / "moved.nii"))
    return DisplacementField.from_last_axis(vectors, fixed.grid)


def command(recipe: Recipe, threads: int) -> str:
    """Return the calls as text."""
    maps = ", ".join(f'GetDefaultParameterMap("{name}")' for name in recipe.settings["parameter_maps"])
    start = "SetInitialTransformParameterObject(START); " if recipe.deforms else ""
    return f"itk.ElastixRegistrationMethod with {maps}; {start}SetNumberOfThreads({threads})"


def parameter_map_matrix(parameters: dict[str, tuple[str, ...]]) -> Matrix:
    """Return the (4, 4) of one linear elastix transform, fixed to moving, LPS mm.

    Raises
    ------
    DataError
        If it is neither an EulerTransform nor an AffineTransform.
    """
    kind = parameters["Transform"][0]
    numbers = np.array([float(v) for v in parameters["TransformParameters"]])
    center = np.array([float(v) for v in parameters["CenterOfRotationPoint"]])
    if kind == "EulerTransform":
        linear = _euler(numbers[:3], zyx=parameters.get("ComputeZYX", ("false",))[0] == "true")
    elif kind == "AffineTransform":
        linear = numbers[:9].reshape(3, 3)
    else:
        raise DataError(f"elastix: expected an EulerTransform or an AffineTransform, got {kind}")
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = numbers[-3:] + center - linear @ center
    return matrix


def _euler(angles_rad: np.ndarray, *, zyx: bool) -> np.ndarray:
    """Return Rz Rx Ry, ITK's own order, or Rz Ry Rx."""
    about_x, about_y, about_z = axis_rotations(angles_rad)
    return about_z @ about_y @ about_x if zyx else about_z @ about_x @ about_y


def _itk() -> Any:
    try:
        import itk

        itk.ElastixRegistrationMethod  # noqa: B018 (loads it; itk alone has none)
    except (ImportError, AttributeError) as error:
        raise EngineMissing("elastix") from error
    return itk


def _run(itk: Any, fixed: Volume, moving: Volume, recipe: Recipe, threads: int, initial: Any = None) -> Any:
    """Run the recipe's parameter maps one after the other; return elastix with what it found."""
    parameters = itk.ParameterObject.New()
    for name in recipe.settings["parameter_maps"]:
        parameters.AddParameterMap(parameters.GetDefaultParameterMap(name))
    for name, value in recipe.settings.get("changes", {}).items():
        parameters.SetParameter(name, value)
    method = itk.ElastixRegistrationMethod.New(_image(itk, fixed), _image(itk, moving))
    method.SetParameterObject(parameters)
    if initial is not None:
        method.SetInitialTransformParameterObject(initial)
    method.SetLogToConsole(False)
    method.SetNumberOfThreads(threads)
    method.UpdateLargestPossibleRegion()
    return method


def _affine_map(matrix: Matrix, fixed: Volume) -> dict[str, tuple[str, ...]]:
    """Return a (4, 4), fixed to moving, LPS mm, as elastix writes an affine."""

    def words(numbers: Any) -> tuple[str, ...]:
        return tuple(repr(float(v)) for v in np.ravel(numbers))

    return {
        "Transform": ("AffineTransform",),
        "NumberOfParameters": ("12",),
        "TransformParameters": words(matrix[:3, :3]) + words(matrix[:3, 3]),
        "CenterOfRotationPoint": ("0", "0", "0"),
        "InitialTransformParameterFileName": ("NoInitialTransform",),
        "HowToCombineTransforms": ("Compose",),
        "FixedImageDimension": ("3",),
        "MovingImageDimension": ("3",),
        "Size": tuple(str(n) for n in fixed.grid.size),
        "Index": ("0", "0", "0"),
        "Spacing": words(fixed.grid.spacing),
        "Origin": words(fixed.grid.origin),
        "Direction": words(fixed.grid.direction.T),
        "UseDirectionCosines": ("true",),
    }


def _image(itk: Any, volume: Volume) -> Any:
    """Convert a volume to an ITK image."""
    grid = volume.grid
    image = itk.image_from_array(np.ascontiguousarray(volume.array, dtype=np.float32))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(grid.direction)))
    return image
