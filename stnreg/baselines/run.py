"""Run a method: `align` for Python and the command line, `recipe_text` to print it."""

import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from stnreg.baselines.engines import check_grids
from stnreg.baselines.recipes import HOW_TO_GET, RECIPES, SIMPLEITK_METRICS, Recipe
from stnreg.errors import UsageProblem
from stnreg.geometry.matrix import Matrix, check_affine
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume

PACKAGES = {"simpleitk": "SimpleITK", "ants": "antspyx", "greedy": "picsl_greedy", "elastix": "itk-elastix"}


@dataclass(frozen=True, eq=False)
class Alignment:
    """The result of an engine.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Maps fixed LPS points to moving LPS points, mm.
    fixed, moving : Volume
        As loaded.
    method : str
        Its name in `RECIPES`.
    recipe : Recipe
        The recipe that ran.
    threads : int
    timings_s : dict
        Wall time by stage, seconds.
    versions : dict
        Version of the engine's package, if it is a Python package.
    """

    fixed_to_moving: Matrix
    fixed: Volume
    moving: Volume
    method: str
    recipe: Recipe
    threads: int
    timings_s: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def find_recipe(method: str, metric: str | None = None) -> Recipe:
    """Look a method up by name.

    Parameters
    ----------
    method : str
        A key of `RECIPES`.
    metric : {"mi", "mse", "correlation"}, optional
        Of the SimpleITK methods; their own by default.

    Raises
    ------
    UsageProblem
        If there is no such method, or it takes no such metric.
    """
    if method not in RECIPES:
        raise UsageProblem(f"expected a method out of {', '.join(RECIPES)}; got {method!r}")
    recipe = RECIPES[method]
    if metric is None:
        return recipe
    if recipe.engine != "simpleitk":
        raise UsageProblem(f"{method}: its metric is part of its recipe; only the sitk methods take another")
    if metric not in SIMPLEITK_METRICS:
        raise UsageProblem(f"{method}: expected a metric out of {', '.join(SIMPLEITK_METRICS)}; got {metric!r}")
    return recipe.with_settings(metric=metric)


def align(
    fixed: Image,
    moving: Image,
    method: str = "sitk-affine",
    *,
    metric: str | None = None,
    header_source: HeaderSource = "auto",
    threads: int = 1,
) -> Alignment:
    """Register a moving image to a fixed image with another tool.

    Parameters
    ----------
    fixed, moving : path, Volume, nibabel or SimpleITK image
    method : str
        A key of `RECIPES`.
    metric : {"mi", "mse", "correlation"}, optional
        Of the SimpleITK methods.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header the engine gets.
    threads : int

    Raises
    ------
    EngineMissing
        If the engine is not installed; the message says how to get it.
    EngineFailed
        If it failed on these images.
    DataError
        If an image cannot be used.
    """
    recipe = find_recipe(method, metric)
    engine = _engine(recipe)
    began = time.perf_counter()
    a, b = as_volume(fixed, header_source), as_volume(moving, header_source)
    check_grids(a, b)
    loaded = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stnreg-") as folder:
        found = engine.run_recipe(a, b, recipe, threads=threads, folder=Path(folder))
    timings_s = {"read": loaded - began, "register": time.perf_counter() - loaded}
    return Alignment(check_affine(found), a, b, method, recipe, threads, timings_s, _versions(recipe.engine))


def recipe_text(method: str, metric: str | None = None, threads: int = 1) -> str:
    """Return a recipe as text: description, installation of its engine, and what is run."""
    recipe = find_recipe(method, metric)
    lines = [
        f"# {method}: {recipe.summary}",
        f"# {recipe.dof} degrees of freedom; engine: {HOW_TO_GET[recipe.engine]}",
        _engine(recipe).command(recipe, threads),
    ]
    return "\n".join(lines)


def _engine(recipe: Recipe) -> ModuleType:
    return import_module(f"stnreg.baselines.{recipe.engine}")


def _versions(engine: str) -> dict[str, str]:
    try:
        return {PACKAGES[engine]: version(PACKAGES[engine])}
    except (KeyError, PackageNotFoundError):  # a program on the PATH
        return {}
