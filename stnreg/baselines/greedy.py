"""Greedy: the package picsl_greedy or the program on the PATH."""

import shlex
from pathlib import Path

import numpy as np

from stnreg.baselines.engines import find_program, run_program, silent, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume
from stnreg.transforms.base import Transform
from stnreg.transforms.io.links import load_chain

SEED = 20


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `greedy -a`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    out = folder / "fixed_to_moving.mat"
    f, m = map(str, write_pair(fixed, moving, folder))
    _execute(_arguments(recipe, threads, f, m, str(out)))
    return swap_lps_ras(np.loadtxt(out))


def deform(fixed: Volume, moving: Volume, recipe: Recipe, start: Matrix, *, threads: int, folder: Path) -> Transform:
    """Run `greedy` from an affine; see `stnreg.baselines.simpleitk.deform` for the arguments."""
    f, m = map(str, write_pair(fixed, moving, folder))
    affine, warp = folder / "start.mat", folder / "warp.nii.gz"
    np.savetxt(affine, swap_lps_ras(start), fmt="%.17g")
    _execute(_deform_arguments(recipe, threads, f, m, str(affine), str(warp)))
    return load_chain([warp, start])


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    if recipe.deforms:
        words = _deform_arguments(recipe, threads, "FIXED", "MOVING", "START.mat", "WARP.nii.gz")
    else:
        words = _arguments(recipe, threads, "FIXED", "MOVING", "OUT.mat")
    return shlex.join(["greedy", *words])


def _execute(arguments: list[str]) -> None:
    program = _program()
    if program is None:
        from picsl_greedy import Greedy3D

        with silent("Greedy"):
            Greedy3D().execute(shlex.join(arguments))
    else:
        run_program([program, *arguments])


def _program() -> str | None:
    """Return the path of the program, or None if the package is installed."""
    from importlib.util import find_spec

    if find_spec("picsl_greedy") is not None:
        return None
    return find_program("greedy", "greedy")


def _arguments(recipe: Recipe, threads: int, fixed: str, moving: str, out: str) -> list[str]:
    s = recipe.settings
    return [
        *("-d", "3", "-a", "-dof", str(recipe.dof), "-threads", str(threads), str(s["start"])),
        *("-n", s["iterations"], "-m", *s["metric"], "-i", fixed, moving, "-o", out),
    ]


def _deform_arguments(recipe: Recipe, threads: int, fixed: str, moving: str, start: str, out: str) -> list[str]:
    s = recipe.settings
    return [
        *("-d", "3", *s["mode"], "-threads", str(threads), "-seed", str(SEED), "-n", s["iterations"]),
        # Its warps are rounded to a tenth of a voxel unless told otherwise.
        *("-m", *s["metric"], "-wp", "0", "-i", fixed, moving, "-it", start, "-o", out),
    ]
