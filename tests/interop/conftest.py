"""A moved head on disk, ours and theirs: what every interop test starts from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_reference, load_volume, save_volume
from stnreg.resampling.apply import save_moved
from stnreg.transforms.io.files import save_transform


@dataclass(frozen=True)
class Case:
    """A pair on disk, a transform that we wrote, and the image that we made with it."""

    fixed: Path
    moving: Path
    tfm: Path
    ours: Path
    fixed_to_moving: np.ndarray
    inside: np.ndarray  # fixed voxels that see only the moving image's interior

    def check(self, theirs: np.ndarray) -> None:
        """Compare another tool's image, (z, y, x), with ours."""
        ours = load_volume(self.ours).array
        assert self.inside.mean() > 0.3
        assert np.abs(theirs - ours)[self.inside].max() < 1e-4 * ours.max()


@pytest.fixture(params=["LPS to RAS", "LIA to oblique", "oblique to anisotropic"])
def case(request: pytest.FixtureRequest, tmp_path: Path, phantom: Any, grids_by_name: dict[str, Grid]) -> Case:
    moving_name, fixed_name = request.param.split(" to ")
    moving_grid, fixed_grid = grids_by_name[moving_name], grids_by_name[fixed_name]
    parameters = Parameters((7.0, -4.0, 11.0), (5, -8, 12), (1.05, 0.95, 1.0), (0.02, 0, -0.03))
    fixed_to_moving = from_parameters(parameters, fixed_grid.center_lps)
    paths = [tmp_path / name for name in ("fixed.nii.gz", "moving.nii.gz", "ours.tfm", "ours.nii.gz")]
    fixed, moving = phantom.volume(fixed_grid), phantom.volume(moving_grid, fixed_to_moving)
    save_volume(paths[0], fixed.array, like=fixed)
    save_volume(paths[1], moving.array, like=moving)
    save_transform(paths[2], fixed_to_moving)
    save_moved(paths[3], load_volume(paths[1]), load_reference(paths[0]), fixed_to_moving)
    index = np.stack(np.meshgrid(*map(np.arange, fixed_grid.shape), indexing="ij")[::-1], axis=-1)
    index = apply_affine(moving_grid.lps_to_index @ fixed_to_moving @ fixed_grid.index_to_lps, index)
    inside = ((index > 1) & (index < np.array(moving_grid.size) - 2)).all(axis=-1)
    return Case(*paths, fixed_to_moving, inside)
