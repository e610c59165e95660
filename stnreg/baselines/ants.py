"""ANTs by antspyx, with the settings of its named transform types."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.baselines.engines import EngineMissing, silent
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.base import Transform
from stnreg.transforms.io.files import load_transform, save_transform
from stnreg.transforms.io.links import load_chain

SEED = 20


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `ants.registration`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
    return load_transform(_register(fixed, moving, recipe, threads, folder)[0])


def deform(fixed: Volume, moving: Volume, recipe: Recipe, start: Matrix, *, threads: int, folder: Path) -> Transform:
    """Run `ants.registration` from an affine; see `stnreg.baselines.simpleitk.deform` for the arguments."""
    affine = folder / "start.mat"
    save_transform(affine, start)
    return load_chain(_register(fixed, moving, recipe, threads, folder, initial_transform=[str(affine)]))


def _register(fixed: Volume, moving: Volume, recipe: Recipe, threads: int, folder: Path, **more: Any) -> list[str]:
    """Return the files that hold the transform, in the order in which a fixed point meets them."""
    # Read when the library is loaded.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    try:
        import ants
    except ImportError as error:
        raise EngineMissing("ants") from error
    with silent("ANTs"):
        found = ants.registration(
            _image(ants, fixed),
            _image(ants, moving),
            outprefix=f"{folder}/ants",
            random_seed=SEED,
            **recipe.settings,
            **more,
        )
    return list(found["fwdtransforms"])


def command(recipe: Recipe, threads: int) -> str:
    """Return what runs."""
    start = 'initial_transform=["START.mat"], ' if recipe.deforms else ""
    return (
        f"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS={threads}\n"
        f'ants.registration(fixed, moving, "{recipe.settings["type_of_transform"]}", {start}random_seed={SEED})'
    )


def _image(ants: Any, volume: Volume) -> Any:
    """Convert a volume to an ANTs image."""
    grid = volume.grid
    return ants.from_numpy(
        volume.array.transpose().astype(np.float32),
        origin=grid.origin.tolist(),
        spacing=grid.spacing.tolist(),
        direction=grid.direction,
    )
