"""NiftyReg: the program reg_aladin on the PATH."""

import shlex
from pathlib import Path

import numpy as np

from stnreg.baselines.engines import find_program, run_program, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `reg_aladin`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    program = find_program("niftyreg", "reg_aladin")
    out = folder / "fixed_to_moving.txt"
    f, m = map(str, write_pair(fixed, moving, folder))
    arguments = _arguments(recipe, threads, f, m, str(out), f"{folder}/moved.nii")
    run_program([program, *arguments])
    return swap_lps_ras(np.loadtxt(out))  # reference to floating, RAS mm


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    return shlex.join(["reg_aladin", *_arguments(recipe, threads, "FIXED", "MOVING", "OUT.txt", "MOVED.nii")])


def _arguments(recipe: Recipe, threads: int, fixed: str, moving: str, out: str, moved: str) -> list[str]:
    rigid = ["-rigOnly"] if recipe.dof == 6 else []
    return [*rigid, "-ref", fixed, "-flo", moving, "-aff", out, "-res", moved, "-omp", str(threads)]
