"""niimath: its `-allineate`, after AFNI's 3dAllineate; the program on the PATH, or of the package niimath."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np

from stnreg.baselines.engines import EngineFailed, find_program, run_program, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `niimath -allineate`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    program = find_program("niimath", "niimath", str(Path(sys.executable).parent))
    out = folder / "fixed_to_moving.json"
    f, m = map(str, write_pair(fixed, moving, folder))
    run_program(
        [program, *_arguments(recipe, f, m, str(out), str(folder / "moved.nii"))], {"OMP_NUM_THREADS": str(threads)}
    )
    try:
        matrix = np.array(json.loads(out.read_text(encoding="utf-8"))["fixed_to_moving"], np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise EngineFailed(f"niimath wrote no affine ({error})") from error
    return swap_lps_ras(matrix)  # it maps fixed points to moving points, RAS mm


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    words = _arguments(recipe, "FIXED", "MOVING", "OUT.json", "MOVED.nii")
    return f"OMP_NUM_THREADS={threads} {shlex.join(['niimath', *words])}"


def _arguments(recipe: Recipe, fixed: str, moving: str, out: str, moved: str) -> list[str]:
    return [moving, "-allineate", fixed, *recipe.settings["options"], "-savemat", out, moved]
