"""Run a method: `align` for Python and the command line, `recipe_text` to print it."""

import tempfile
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from stnreg.baselines.engines import check_grids
from stnreg.baselines.recipes import HOW_TO_GET, RECIPES, SIMPLEITK_METRICS, Recipe
from stnreg.core.clock import Clock
from stnreg.errors import UsageProblem
from stnreg.geometry.matrix import Matrix, check_affine
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.links import LinkLike, load_chain

PACKAGES = {
    "simpleitk": "SimpleITK",
    "ants": "antspyx",
    "greedy": "picsl_greedy",
    "elastix": "itk-elastix",
    "niimath": "niimath",
}


@dataclass(frozen=True, eq=False)
class Alignment:
    """The result of an engine.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Takes fixed LPS points to moving LPS points, mm; the affine part where a warp goes before it.
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
        Of the engine's package, where it is one.
    warp : DisplacementField or None
        Of a method that deforms: on the fixed grid, LPS mm. A fixed point meets it first, and then the affine.
    """

    fixed_to_moving: Matrix
    fixed: Volume
    moving: Volume
    method: str
    recipe: Recipe
    threads: int
    timings_s: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warp: DisplacementField | None = None

    @property
    def transform(self) -> Transform:
        """All of it, fixed to moving: the affine, or the warp and then the affine."""
        affine = Affine(self.fixed_to_moving)
        return affine if self.warp is None else Chain((self.warp, affine))

    def in_file(self, path: Path) -> Transform:
        """Return the part that a transform file holds, as of `register`: .h5 all of it, a field the warp alone."""
        name = path.name.lower()
        if self.warp is None or name.endswith(".h5"):
            return self.transform
        return self.warp if name.endswith((".nii", ".nii.gz")) else Affine(self.fixed_to_moving)


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
    if recipe.engine != "simpleitk" or recipe.deforms:
        raise UsageProblem(f"{method}: its metric is part of its recipe; only the linear sitk methods take another")
    if metric not in SIMPLEITK_METRICS:
        raise UsageProblem(f"{method}: expected a metric out of {', '.join(SIMPLEITK_METRICS)}; got {metric!r}")
    return recipe.with_settings(metric=metric)


def align(
    fixed: Image,
    moving: Image,
    method: str = "sitk-affine",
    *,
    metric: str | None = None,
    init: LinkLike | None = None,
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
    init : path or (4, 4) float64, optional
        Of methods that deform: the affine to start from, fixed to moving; that of `Recipe.affine` when left out.
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
    UsageProblem
        If `init` is given to a method that does not deform, or is not linear.
    """
    recipe = find_recipe(method, metric)
    if init is not None and not recipe.deforms:
        raise UsageProblem(
            f"{method}: starts in its own way; only the methods that deform take an affine to start from"
        )
    engine = _engine(recipe)
    clock = Clock()
    with clock.stage("read"):
        a, b = as_volume(fixed, header_source), as_volume(moving, header_source)
        check_grids(a, b)
    warp = None
    with tempfile.TemporaryDirectory(prefix="stnreg-") as name:
        how: dict[str, Any] = {"threads": threads, "folder": Path(name)}
        with clock.stage("register"):
            if not recipe.deforms:
                affine = check_affine(engine.run_recipe(a, b, recipe, **how))
            elif init is None:
                affine = check_affine(engine.run_recipe(a, b, RECIPES[recipe.affine], **how))
            else:
                affine = _linear(init, a, b)
        if recipe.deforms:
            with clock.stage("deform"):
                found = engine.deform(a, b, recipe, affine, **how)
                warp = Chain((found, Affine(affine).inverse())).to_displacement(a.grid)
    return Alignment(affine, a, b, method, recipe, threads, clock.seconds, _versions(recipe.engine), warp)


def _linear(init: LinkLike, fixed: Volume, moving: Volume) -> Matrix:
    matrix = load_chain([init], fixed, moving).matrix
    if matrix is None:
        raise UsageProblem(f"{init}: expected an affine to start from, got a non-linear transform")
    return matrix


def recipe_text(method: str, metric: str | None = None, threads: int = 1) -> str:
    """Return a recipe as text: description, installation of its engine, and what is run."""
    recipe = find_recipe(method, metric)
    lines = [
        f"# {method}: {recipe.summary}",
        f"# {recipe.dof} degrees of freedom; engine: {HOW_TO_GET[recipe.engine]}",
    ]
    if recipe.deforms:
        lines += [
            f"# START: --init, else the affine of {recipe.affine}, which is:",
            *(f"#   {line}" for line in _engine(recipe).command(RECIPES[recipe.affine], threads).splitlines()),
        ]
    lines.append(_engine(recipe).command(recipe, threads))
    return "\n".join(lines)


def _engine(recipe: Recipe) -> ModuleType:
    return import_module(f"stnreg.baselines.{recipe.engine}")


def _versions(engine: str) -> dict[str, str]:
    try:
        return {PACKAGES[engine]: version(PACKAGES[engine])}
    except (KeyError, PackageNotFoundError):  # a program on the PATH
        return {}
