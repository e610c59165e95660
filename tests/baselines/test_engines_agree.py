"""Every engine that is installed finds a known move, and answers in one form."""

import numpy as np
import pytest

from stnreg.baselines.engines import EngineMissing
from stnreg.baselines.run import align
from stnreg.errors import DataError, GeometryError, UsageProblem
from stnreg.geometry.affine import Parameters, from_parameters, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.simulate.cubes import paint_cube, random_cube

MOVE = from_parameters(Parameters((6.0, -4.0, 5.0), (4.0, -6.0, 7.0)), (0, 0, 0))
QUICK = ["sitk-affine", "sitk-rigid", "ants-fast", "greedy", "elastix-rigid", "flirt", "niftyreg"]
OBLIQUE = from_parameters(Parameters(rotation_deg=(6, -9, 12)), (0, 0, 0))[:3, :3]
GRIDS = Grid.cube((1, 2, 3), 52, 2.0, OBLIQUE), Grid.cube((0, 0, 0), 56, 2.0, np.diag([-1.0, -1.0, 1.0]))


@pytest.fixture(scope="module")
def cubes():
    """A damaged cube and the same one moved, on an oblique and a RAS grid."""
    rng = np.random.default_rng(4)
    cube = random_cube(rng)
    return [paint_cube(cube, pose, grid, rng)[0] for pose, grid in zip((np.eye(4), MOVE), GRIDS, strict=True)]


@pytest.mark.parametrize("method", QUICK)
def test_a_known_move_is_found(method, cubes):
    points = np.random.default_rng(0).uniform(-25, 25, (200, 3))
    try:
        found = align(*cubes, method, threads=1)
    except EngineMissing as missing:
        pytest.skip(str(missing))
    assert mean_error_mm(found.fixed_to_moving, MOVE, points) < 0.5
    if found.recipe.dof == 6:
        linear = found.fixed_to_moving[:3, :3]
        assert np.allclose(linear.T @ linear, np.eye(3), atol=1e-6)


def test_the_same_bits_twice(cubes):
    first, second = (align(*cubes, "sitk-rigid", threads=1).fixed_to_moving for _ in range(2))
    assert np.array_equal(first, second)


def test_what_no_engine_takes_is_refused(phantom, grids_by_name, sheared_grid):
    fixed = phantom.volume(grids_by_name["LPS"])
    with pytest.raises(GeometryError, match="right angles"):
        align(fixed, phantom.volume(sheared_grid))
    with pytest.raises(UsageProblem, match="sitk-affine"):
        align(fixed, fixed, "nonsense")
    with pytest.raises(UsageProblem, match="part of its recipe"):
        align(fixed, fixed, "greedy", metric="mi")


def test_an_engine_that_gives_up_says_so(phantom, grids_by_name):
    """Two slices cannot be smoothed into levels; ITK's own reason reaches the user."""
    thin = Grid.from_parts((40, 40, 2), (4, 4, 4), (0, 0, 0))
    with pytest.raises(DataError, match="gave up"):
        align(phantom.volume(thin), phantom.volume(thin), "sitk-rigid")
