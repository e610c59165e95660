"""Visits of one person that are quick to bring together: the example head, moved in known ways and resampled."""

from pathlib import Path

import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, load_volume
from stnreg.resampling.resample import resample

EXAMPLES = Path(__file__).parents[3] / "examples"
MOVES = (Parameters(), Parameters((6, -9, 4), (8, -5, 12)), Parameters((-12, 3, 8), (-6, 10, -4)))


@pytest.fixture(scope="session")
def visits() -> tuple[list[Volume], list[np.ndarray]]:
    """Three scans of the fixed example head, and the maps from the head to each."""
    head = load_volume(EXAMPLES / "fixed.nii.gz")
    center = head.grid.center_lps
    made, maps = [], []
    for k, parameters in enumerate(MOVES):
        move = from_parameters(parameters, center)
        size = np.ceil(head.grid.extent_mm / (2.0 + 0.1 * k)).astype(int)
        grid = Grid.cube(apply_affine(move, center) + 0.3 * k, size, 2.0 + 0.1 * k)
        array = resample(head.array.astype(np.float32), head.grid, grid, invert(move))
        array += 2 * np.random.default_rng(k).standard_normal(array.shape, dtype=np.float32)
        made.append(Volume((array * (1 + 0.2 * k)).astype(np.float32), grid, path=f"visit-{k + 1}"))
        maps.append(move)
    return made, maps
