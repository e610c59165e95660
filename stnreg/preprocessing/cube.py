"""The input of pair networks: a scan, averaged to about their resolution and resampled to a cube."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.preprocessing.pipeline import prepare_image
from stnreg.resampling.block_mean import block_mean


def shrink_volume(volume: Volume, spacing_mm: float) -> Volume:
    """Average blocks of voxels of at most `spacing_mm`, to avoid aliasing in coarse samples of a fine scan."""
    array, grid = block_mean(volume.array, volume.grid, spacing_mm)
    return replace(volume, array=array, grid=grid)


def sample_cube(volume: Volume, cube: Grid, rule: str, threads: int | None = None) -> NDArray[np.float32]:
    """Sample a scan on a cube, without aliasing, intensities in [0, 1].

    Parameters
    ----------
    volume : Volume
        At any resolution.
    cube : Grid
        Where to sample. May be rotated and scaled by an initial transform.
    rule : str
        Of `preprocess.intensity`.
    threads : int, optional
        Of ITK.

    Returns
    -------
    array : (D, D, D) float32
    """
    return prepare_image(shrink_volume(volume, float(min(cube.spacing)) / 2), cube, rule, threads)
