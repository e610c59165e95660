"""Greedy: the package picsl_greedy or the program on the PATH."""

import shlex
from pathlib import Path

import numpy as np

from stnreg.baselines.engines import find_program, run_program, silent, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `greedy -a`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    program = _program()
    out = folder / "fixed_to_moving.mat"
    f, m = map(str, write_pair(fixed, moving, folder))
    arguments = _arguments(recipe, threads, f, m, str(out))
    if program is None:
        from picsl_greedy import Greedy3D

        with silent("Greedy"):
            Greedy3D().execute(shlex.join(arguments))
    else:
        run_program([program, *arguments])
    return swap_lps_ras(np.loadtxt(out))


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    return shlex.join(["greedy", *_arguments(recipe, threads, "FIXED", "MOVING", "OUT.mat")])


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
