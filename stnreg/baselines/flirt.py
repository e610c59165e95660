"""FSL's FLIRT, the program in FSLDIR or on the PATH."""

import os
import shlex
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from stnreg.baselines.engines import find_program, run_program, write_pair
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.io.volume import Volume


def align(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `flirt`, which knows one thread only; see `stnreg.baselines.simpleitk.align` for the arguments."""
    fsl = os.environ.get("FSLDIR")
    program = find_program("flirt", "flirt", fsl and f"{fsl}/bin", fsl and f"{fsl}/share/fsl/bin")
    out = folder / "moving_to_fixed.mat"
    f, m = map(str, write_pair(fixed, moving, folder))
    arguments = _arguments(recipe, f, m, str(out))
    # Without it FLIRT refuses to run where FSL's setup was not sourced.
    run_program([program, *arguments], {"FSLOUTPUTTYPE": "NIFTI"})
    return from_fsl(np.loadtxt(out), fixed.grid, moving.grid)


def command(recipe: Recipe, threads: int) -> str:
    """Return the command line that runs."""
    return shlex.join(["flirt", *_arguments(recipe, "FIXED", "MOVING", "OUT.mat")])


def from_fsl(moving_to_fixed: ArrayLike, fixed: Grid, moving: Grid) -> Matrix:
    """Return `fixed_to_moving`, LPS mm, of FLIRT's matrix between two grids.

    FLIRT counts millimetres from the first voxel, along the voxel axes; x runs backwards where the voxel axes
    are right-handed in RAS, so that its space is always left-handed ("radiological").
    """
    return compose(moving.index_to_lps, invert(_index_to_fsl(moving)), invert(moving_to_fixed), _index_to_fsl(fixed),
                   fixed.lps_to_index)  # fmt: skip


def _index_to_fsl(grid: Grid) -> Matrix:
    matrix = np.diag([*grid.spacing, 1.0])
    if np.linalg.det(grid.index_to_lps[:3, :3]) > 0:  # LPS and RAS differ by a half turn: the same sign
        matrix[0, 0] *= -1
        matrix[0, 3] = (grid.size[0] - 1) * grid.spacing[0]
    return matrix


def _arguments(recipe: Recipe, fixed: str, moving: str, out: str) -> list[str]:
    return ["-in", moving, "-ref", fixed, "-omat", out, "-dof", str(recipe.dof), "-cost", recipe.settings["cost"]]
