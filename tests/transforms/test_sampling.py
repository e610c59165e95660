"""Points of voxels, and slabs that leave no trace."""

import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Reference
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.fsl_warp import to_fsl_warp
from stnreg.transforms.sampling import slabs, voxel_points
from stnreg.transforms.velocity import VelocityField

USERS = ("base", "jacobian", "squaring", "io.fsl_warp")


def test_slabs_cover_a_grid_once(grid):
    for voxels in (1, 5000, 10**9):
        parts = list(slabs(grid, voxels))
        assert [k for part in parts for k in range(part.start, part.stop)] == list(range(grid.shape[0]))


def test_points_are_those_of_the_indices(grid):
    points = voxel_points(grid, slice(3, 5))
    assert points.shape == (3, 2, *grid.shape[1:])
    assert np.abs(points[:, 1, 7, 9] - apply_affine(grid.index_to_lps, (9, 7, 4))).max() < 1e-9


@pytest.mark.parametrize("thickness", [1, 3])
def test_results_do_not_depend_on_slabs(thickness, monkeypatch):
    grid = Grid.cube((0, 0, 0), (7, 8, 11), (1.0, 2.0, 1.5), np.diag([-1.0, 1, 1]))
    vectors = np.random.default_rng(0).normal(0, 0.6, (3, *grid.shape)).astype(np.float32)

    def everything():
        field = DisplacementField(vectors, grid)
        folds = field.count_folds()
        image = Reference(grid, None, True, "image")
        return [
            field.jacobian_determinant(),
            np.array([folds.central, folds.digital, folds.volume_mm3]),
            field.then(field).to_displacement(grid).vectors,
            VelocityField(vectors, grid).exponential().vectors,
            to_fsl_warp(field, image, image),
        ]

    whole = everything()
    for user in USERS:
        monkeypatch.setattr(
            f"stnreg.transforms.{user}.slabs", lambda grid, _=0: slabs(grid, thickness * grid.size[0] * grid.size[1])
        )
    for one, other in zip(whole, everything(), strict=True):
        assert np.allclose(one, other, atol=1e-6)
