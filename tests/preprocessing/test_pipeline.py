"""The cubes a pair network reads: an identity theta is the start, and theta speaks of millimetres."""

from typing import Any

import numpy as np
import pytest

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import Parameters, corner_error_mm, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import axis_codes
from stnreg.geometry.theta import affine_from_theta, theta_from_affine
from stnreg.preprocessing.initial_transform import center_geometry
from stnreg.preprocessing.pipeline import cube_grid, prepare_pair
from stnreg.resampling.resample import resample

IDENTITY_THETA = np.eye(4)[:3]
MOVE = from_parameters(Parameters((6.0, -9.0, 4.0), (8, -5, 10)), (5, -10, 20))


@pytest.mark.parametrize("spacing", [5.0, "fov"])
@pytest.mark.parametrize("initial", [None, MOVE])
def test_an_identity_theta_is_the_start(
    phantom: Any, grid: Grid, grids_by_name: Any, spacing: Any, initial: Any
) -> None:
    fixed, moving = phantom.volume(grids_by_name["RAS"]), phantom.volume(grid, MOVE)
    pair = prepare_pair(fixed, moving, size=32, spacing=spacing, initial=initial)
    assert pair.fixed.shape == pair.moving.shape == (32, 32, 32)
    assert pair.fixed.dtype == pair.moving.dtype == np.float32
    for cube in (pair.fixed, pair.moving):
        assert (cube.min(), cube.max()) == (0, pytest.approx(1))
    assert (
        corner_error_mm(affine_from_theta(IDENTITY_THETA, pair.fixed_grid, pair.moving_grid), pair.start, grid) < 1e-9
    )
    if initial is not None:
        assert np.array_equal(pair.start, MOVE)
    elif spacing == 5.0:
        assert corner_error_mm(pair.start, center_geometry(fixed.grid, grid), grid) < 1e-9
        assert np.allclose(pair.moving_grid.center_lps, grid.center_lps)
    if initial is None:
        assert axis_codes(pair.moving_grid) == "LPS"


def test_the_cubes_and_theta_tell_of_the_true_move(phantom: Any, grid: Grid, grids_by_name: Any) -> None:
    """What a perfect network answers, put on the cubes, brings them together."""
    fixed, moving = phantom.volume(grids_by_name["LIA"]), phantom.volume(grid, MOVE)
    pair = prepare_pair(fixed, moving, size=40, spacing=4.0)
    theta = theta_from_affine(MOVE, pair.fixed_grid, pair.moving_grid)
    back = affine_from_theta(theta, pair.fixed_grid, pair.moving_grid)
    inner = (slice(8, 32),) * 3
    at_start = np.abs(pair.moving - pair.fixed)[inner].mean()
    moved = resample(pair.moving, pair.moving_grid, pair.fixed_grid, back)
    assert np.abs(moved - pair.fixed)[inner].mean() < 0.35 * at_start


def test_the_same_anatomy_in_another_orientation_gives_the_same_cube(phantom: Any, grids_by_name: Any) -> None:
    upright = phantom.volume(grids_by_name["LPS"])
    flipped = type(upright)(
        upright.array[::-1, :, ::-1],
        Grid(upright.grid.size, upright.grid.index_to_lps @ np.array(
            [[-1.0, 0, 0, 39], [0, 1, 0, 0], [0, 0, -1, 41], [0, 0, 0, 1]])),
    )  # fmt: skip
    a, b = (prepare_pair(upright, other, size=32, spacing=4.0) for other in (upright, flipped))
    assert np.allclose(a.moving, b.moving, atol=1e-5)
    assert corner_error_mm(a.start, b.start, upright.grid) < 1e-9


def test_fov_keeps_the_field_of_view(grids_by_name: Any) -> None:
    grid = grids_by_name["anisotropic"]
    cube = cube_grid(grid, 170, "fov")
    assert np.allclose(cube.extent_mm, grid.extent_mm)
    assert np.allclose(cube.center_lps, grid.center_lps)
    assert np.allclose(cube_grid(grid).spacing, 1.5)


def test_sizes_and_spacings_are_checked(grid: Grid) -> None:
    with pytest.raises(UsageProblem, match="at least 2"):
        cube_grid(grid, 1)
    with pytest.raises(UsageProblem, match="fov"):
        cube_grid(grid, 8, -1.0)
