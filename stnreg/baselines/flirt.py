"""FSL's FLIRT, the program in FSLDIR or on the PATH."""

import os
import shlex
from pathlib import Path

import numpy as np

from stnreg.baselines.engines import find_program, run_program, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.io.fsl import from_fsl


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `flirt`, which is single-threaded; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    fsl = os.environ.get("FSLDIR")
    program = find_program("flirt", "flirt", fsl and f"{fsl}/bin", fsl and f"{fsl}/share/fsl/bin")
    out = folder / "moving_to_fixed.mat"
    f, m = map(str, write_pair(fixed, moving, folder))
    arguments = _arguments(recipe, f, m, str(out))
    # Without it FLIRT does not run unless FSL's setup was sourced.
    run_program([program, *arguments], {"FSLOUTPUTTYPE": "NIFTI"})
    return from_fsl(np.loadtxt(out), fixed.grid, moving.grid)


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    return shlex.join(["flirt", *_arguments(recipe, "FIXED", "MOVING", "OUT.mat")])


def _arguments(recipe: Recipe, fixed: str, moving: str, out: str) -> list[str]:
    return ["-in", moving, "-ref", fixed, "-omat", out, "-dof", str(recipe.dof), "-cost", recipe.settings["cost"]]
