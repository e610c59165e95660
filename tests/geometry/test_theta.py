"""Theta: there and back, and the same points as the physical map takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import GeometryError
from stnreg.geometry.affine import Parameters, apply_affine, corner_error_mm, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.theta import affine_from_theta, theta_from_affine


@given(st.from_type(Parameters), st.from_type(Grid), st.from_type(Grid))
def test_theta_there_and_back(parameters: Parameters, fixed: Grid, moving: Grid) -> None:
    fixed_to_moving = from_parameters(parameters, fixed.center_lps)
    theta = theta_from_affine(fixed_to_moving, fixed, moving)
    assert corner_error_mm(affine_from_theta(theta, fixed, moving), fixed_to_moving, fixed) < 1e-6


@given(st.from_type(Parameters), st.from_type(Grid), st.from_type(Grid), st.tuples(*[st.floats(-1, 1)] * 3))
def test_theta_takes_points_where_the_affine_takes_them(
    parameters: Parameters, fixed: Grid, moving: Grid, point: tuple[float, float, float]
) -> None:
    fixed_to_moving = from_parameters(parameters, fixed.center_lps)
    theta = theta_from_affine(fixed_to_moving, fixed, moving)
    through_theta = apply_affine(moving.normalized_to_lps, theta[:, :3] @ point + theta[:, 3])
    through_world = apply_affine(fixed_to_moving, apply_affine(fixed.normalized_to_lps, point))
    assert np.abs(through_theta - through_world).max() < 1e-6


def test_what_is_no_affine_is_refused() -> None:
    grid = Grid((2, 2, 2), np.eye(4))
    with pytest.raises(GeometryError, match="last row"):
        theta_from_affine(np.ones((4, 4)), grid, grid)
    with pytest.raises(GeometryError, match=r"\(3, 4\)"):
        affine_from_theta(np.eye(4), grid, grid)
