"""SimpleITK with tuned settings: the better of two initial transforms, rigid before affine, a pyramid in mm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.baselines import simpleitk_spline
from stnreg.baselines.engines import silent, to_simpleitk
from stnreg.baselines.recipes import COARSE, Level, Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.base import Transform


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run a SimpleITK recipe.

    Parameters
    ----------
    fixed, moving : Volume
    recipe : Recipe
    threads : int
        With one thread the result is reproducible bit for bit. With more, the order of ITK's sums varies.
    folder : Path
        Not used.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        LPS mm.
    """
    import SimpleITK as sitk

    f, m = to_simpleitk(fixed), to_simpleitk(moving)
    settings = recipe.settings
    # The number of threads of the method does not apply to the metric, whose sums depend on it.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    with silent("SimpleITK"):
        transform = _start(f, m, settings, threads)
        for stage, levels in settings["stages"].items():
            if stage == "affine":
                rigid, transform = transform, sitk.AffineTransform(3)
                transform.SetCenter(rigid.GetCenter())
                transform.SetMatrix(rigid.GetMatrix())
                transform.SetTranslation(rigid.GetTranslation())
            method = _method(settings, levels, f, threads)
            method.SetInitialTransform(transform, inPlace=True)
            method.Execute(f, m)
    return to_matrix(transform)


def deform(fixed: Volume, moving: Volume, recipe: Recipe, start: Matrix, *, threads: int, folder: Path) -> Transform:
    """Find a warp after an affine.

    Parameters
    ----------
    fixed, moving : Volume
    recipe : Recipe
    start : (4, 4) float64
        The affine, fixed to moving, LPS mm.
    threads : int
    folder : Path
        What the engine itself writes is left here.

    Returns
    -------
    fixed_to_moving : Transform
        All of it, the affine included.
    """
    return simpleitk_spline.deform(fixed, moving, recipe, start, threads=threads, folder=folder)


def command(recipe: Recipe, threads: int) -> str:
    """Return what runs, in SimpleITK's own names."""
    if recipe.deforms:
        return simpleitk_spline.command(recipe, threads)
    s = recipe.settings
    metric = {
        "mi": f"SetMetricAsMattesMutualInformation({s['bins']})",
        "mse": "SetMetricAsMeanSquares()",
        "correlation": "SetMetricAsCorrelation()",
    }[s["metric"]]
    lines = [
        "CenteredTransformInitializer(Euler3DTransform): GEOMETRY or MOMENTS, whichever has the better metric at 8 mm",
    ]
    for stage, levels in s["stages"].items():
        transform = "Euler3DTransform" if stage == "rigid" else "AffineTransform, from the rigid"
        lines += [
            f"{stage}: ImageRegistrationMethod on {transform}",
            f"  {metric}; SetInterpolator(sitkLinear)",
            f"  SetMetricSamplingStrategy(REGULAR), {[v.samples for v in levels]} voxels, seed {s['seed']}",
            f"  SetOptimizerAsRegularStepGradientDescent(learningRate={s['learning_rate_mm']}, "
            f"minStep={s['least_step_mm']}, numberOfIterations={s['steps']}, relaxationFactor={s['relaxation']})",
            "  SetOptimizerScalesFromPhysicalShift()",
            f"  shrink to {[v.spacing_mm for v in levels]} mm, smooth by sigma {[v.sigma_mm for v in levels]} mm",
        ]
    return "\n".join([*lines, f"threads: {threads}"])


def to_matrix(transform: Any) -> Matrix:
    """Return the (4, 4) of a linear SimpleITK transform with a matrix, a centre and a translation; LPS mm."""
    center = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = np.array(transform.GetTranslation()) + center - matrix[:3, :3] @ center
    return matrix


def _start(f: Any, m: Any, settings: Any, threads: int) -> Any:
    """Align the grid centres or the centres of mass, whichever has the better metric on coarse images."""
    import SimpleITK as sitk

    small = [sitk.Shrink(image, _factors(image, COARSE.spacing_mm)) for image in (f, m)]
    method = _method(settings, [Level(0, 0, 100_000)], small[0], threads)

    def metric(transform: Any) -> float:
        method.SetInitialTransform(transform)
        try:
            return float(method.MetricEvaluate(*small))
        except RuntimeError:  # no overlap at all
            return np.inf

    initialise, kinds = sitk.CenteredTransformInitializer, sitk.CenteredTransformInitializerFilter
    starts = [
        sitk.Euler3DTransform(initialise(f, m, sitk.Euler3DTransform(), kind))
        for kind in (kinds.GEOMETRY, kinds.MOMENTS)
    ]
    return min(starts, key=metric)


def _method(settings: Any, levels: Sequence[Level], fixed: Any, threads: int) -> Any:
    import SimpleITK as sitk

    # One factor for all axes: a compromise for thick slices.
    voxel_mm = float(np.prod(fixed.GetSpacing()) ** (1 / 3))
    factors = [max(round(level.spacing_mm / voxel_mm), 1) for level in levels]
    voxels = [fixed.GetNumberOfPixels() / factor**3 for factor in factors]
    shares = [min(level.samples / count, 1.0) for level, count in zip(levels, voxels, strict=True)]
    method = sitk.ImageRegistrationMethod()
    if settings["metric"] == "mi":
        method.SetMetricAsMattesMutualInformation(settings["bins"])
    elif settings["metric"] == "mse":
        method.SetMetricAsMeanSquares()
    else:
        method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel(shares, settings["seed"])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=settings["learning_rate_mm"],
        minStep=settings["least_step_mm"],
        numberOfIterations=settings["steps"],
        relaxationFactor=settings["relaxation"],
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(factors)
    method.SetSmoothingSigmasPerLevel([level.sigma_mm for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetNumberOfThreads(threads)
    return method


def _factors(image: Any, spacing_mm: float) -> list[int]:
    return [
        min(max(round(spacing_mm / s), 1), max(n // 8, 1))
        for s, n in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
