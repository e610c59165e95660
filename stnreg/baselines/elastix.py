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


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run elastix; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    try:
        import itk

        itk.ElastixRegistrationMethod  # noqa: B018 (loads it; itk alone has none)
    except (ImportError, AttributeError) as error:
        raise EngineMissing("elastix") from error
    with silent("elastix"):
        parameters = itk.ParameterObject.New()
        for name in recipe.settings["parameter_maps"]:
            parameters.AddParameterMap(parameters.GetDefaultParameterMap(name))
        method = itk.ElastixRegistrationMethod.New(_image(itk, fixed), _image(itk, moving))
        method.SetParameterObject(parameters)
        method.SetLogToConsole(False)
        method.SetNumberOfThreads(threads)
        method.UpdateLargestPossibleRegion()
        found = method.GetTransformParameterObject()
        maps = [dict(found.GetParameterMap(k)) for k in range(found.GetNumberOfParameterMaps())]
    return compose(*[parameter_map_matrix(each) for each in reversed(maps)])  # the first map acts on a point first


def command(recipe: Recipe, threads: int) -> str:
    """Return the calls as text."""
    maps = ", ".join(f'GetDefaultParameterMap("{name}")' for name in recipe.settings["parameter_maps"])
    return f"itk.ElastixRegistrationMethod with {maps}; SetNumberOfThreads({threads})"


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


def _image(itk: Any, volume: Volume) -> Any:
    """Convert a volume to an ITK image."""
    grid = volume.grid
    image = itk.image_from_array(np.ascontiguousarray(volume.array, dtype=np.float32))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(grid.direction)))
    return image
