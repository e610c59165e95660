"""A B-spline by SimpleITK, level by level, behind which the affine stays as it is."""

from pathlib import Path

import numpy as np

from stnreg.baselines.engines import silent, to_simpleitk
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField


def deform(fixed: Volume, moving: Volume, recipe: Recipe, start: Matrix, *, threads: int, folder: Path) -> Transform:
    """Run a spline recipe; see `stnreg.baselines.simpleitk.deform` for the arguments."""
    import SimpleITK as sitk

    f, m = to_simpleitk(fixed), to_simpleitk(moving)
    settings, spline = recipe.settings, recipe.settings["spline"]
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    affine = sitk.AffineTransform(start[:3, :3].ravel().tolist(), start[:3, 3].tolist())
    mesh = [max(round(extent / spline["knots_mm"][0]), 1) for extent in fixed.grid.extent_mm]
    voxel_mm = float(np.prod(f.GetSpacing()) ** (1 / 3))
    factors = [max(round(level.spacing_mm / voxel_mm), 1) for level in spline["levels"]]
    shares = [
        min(level.samples / (f.GetNumberOfPixels() / factor**3), 1.0)
        for level, factor in zip(spline["levels"], factors, strict=True)
    ]
    with silent("SimpleITK"):
        transform = sitk.BSplineTransformInitializer(f, mesh)
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(spline["bins"])
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentagePerLevel(shares, settings["seed"])
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsLBFGS2(solutionAccuracy=1e-5, numberOfIterations=spline["iterations"])
        method.SetMovingInitialTransform(affine)
        method.SetInitialTransformAsBSpline(transform, inPlace=True, scaleFactors=_refinements(spline["knots_mm"]))
        method.SetShrinkFactorsPerLevel(factors)
        method.SetSmoothingSigmasPerLevel([level.sigma_mm for level in spline["levels"]])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetNumberOfThreads(threads)
        method.Execute(f, m)
        chain = sitk.CompositeTransform([affine, transform])  # the last acts first
        sitk.WriteTransform(chain, str(folder / "found.h5"))
        grid = fixed.grid
        field = sitk.TransformToDisplacementField(
            chain, sitk.sitkVectorFloat64, grid.size, f.GetOrigin(), f.GetSpacing(), f.GetDirection()
        )
    return DisplacementField.from_last_axis(sitk.GetArrayViewFromImage(field), grid)


def command(recipe: Recipe, threads: int) -> str:
    """Return what runs, in SimpleITK's own names."""
    s, spline = recipe.settings, recipe.settings["spline"]
    levels = spline["levels"]
    return "\n".join(
        [
            f"ImageRegistrationMethod on BSplineTransform, knots {spline['knots_mm'][0]:g} mm apart",
            f"  SetInitialTransformAsBSpline(scaleFactors={_refinements(spline['knots_mm'])})",
            "  SetMovingInitialTransform(START)",
            f"  SetMetricAsMattesMutualInformation({spline['bins']}); SetInterpolator(sitkLinear)",
            f"  SetMetricSamplingStrategy(REGULAR), {[v.samples for v in levels]} voxels, seed {s['seed']}",
            f"  SetOptimizerAsLBFGS2(numberOfIterations={spline['iterations']})",
            f"  shrink to {[v.spacing_mm for v in levels]} mm, smooth by sigma {[v.sigma_mm for v in levels]} mm",
            f"threads: {threads}",
        ]
    )


def _refinements(knots_mm: tuple[float, ...]) -> list[int]:
    """Return how many times finer than at first the knots are at each level."""
    return [round(knots_mm[0] / each) for each in knots_mm]
