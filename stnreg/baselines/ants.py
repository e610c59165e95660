"""ANTs by antspyx, with the settings of its named transform types."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.baselines.engines import EngineMissing, silent
from stnreg.baselines.recipes import Recipe
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.transforms.io.files import load_transform

SEED = 20


def run_recipe(fixed: Volume, moving: Volume, recipe: Recipe, *, threads: int, folder: Path) -> Matrix:
    """Run `ants.registration`; see `stnreg.baselines.simpleitk.run_recipe` for the arguments."""
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
        )
    return load_transform(found["fwdtransforms"][0])


def command(recipe: Recipe, threads: int) -> str:
    """Return the call as text."""
    return (
        f"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS={threads}\n"
        f'ants.registration(fixed, moving, "{recipe.settings["type_of_transform"]}", random_seed={SEED})'
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
