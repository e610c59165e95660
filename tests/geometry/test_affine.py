"""Affine maps: algebra, parameters, fewer degrees of freedom. Tolerances in mm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import GeometryError
from stnreg.geometry.affine import (
    Parameters,
    apply_affine,
    compose,
    corner_error_mm,
    from_parameters,
    invert,
    mean_error_mm,
    nearest_dof,
    random_affine,
    to_parameters,
)
from stnreg.geometry.grid import Grid

HEAD = Grid.cube((0, 0, 0), 100, 2.0)
CENTER = (5.0, -20.0, 40.0)


@given(st.from_type(Parameters), st.from_type(Parameters))
def test_inverse_and_composition(one: Parameters, other: Parameters) -> None:
    a, b = from_parameters(one, CENTER), from_parameters(other, CENTER)
    assert corner_error_mm(compose(a, invert(a)), np.eye(4), HEAD) < 1e-9
    points = HEAD.corners_lps()
    assert mean_error_mm(compose(a, b), a @ b, points) == 0
    assert np.allclose(apply_affine(compose(a, b), points), apply_affine(a, apply_affine(b, points)))


@given(st.from_type(Parameters))
def test_parameters_there_and_back(parameters: Parameters) -> None:
    matrix = from_parameters(parameters, CENTER)
    again = to_parameters(matrix, CENTER)
    for name in ("translation_mm", "rotation_deg", "scale", "shear"):
        assert np.allclose(getattr(again, name), getattr(parameters, name), atol=1e-7), name
    assert corner_error_mm(from_parameters(again, CENTER), matrix, HEAD) < 1e-9


def test_the_order_is_shear_scale_rotation_translation() -> None:
    parameters = Parameters((1.0, 2.0, 3.0), (0.0, 0.0, 90.0), (2.0, 1.0, 1.0), (0.5, 0.0, 0.0))
    # (0, 1, 0): shear to (0.5, 1, 0), scale to (1, 1, 0), turn to (-1, 1, 0), move to (0, 3, 3)
    assert np.allclose(apply_affine(from_parameters(parameters, (0, 0, 0)), (0, 1, 0)), (0, 3, 3))


@pytest.mark.parametrize("y", [90.0, -90.0])
def test_gimbal_lock_still_gives_the_matrix_back(y: float) -> None:
    matrix = from_parameters(Parameters(rotation_deg=(20.0, y, 30.0)), CENTER)
    assert corner_error_mm(from_parameters(to_parameters(matrix, CENTER), CENTER), matrix, HEAD) < 1e-6


def test_a_reflection_comes_back_as_a_negative_scale() -> None:
    parameters = to_parameters(np.diag([-1.0, 1, 1, 1]), (0, 0, 0))
    assert parameters.scale[2] == pytest.approx(-1)
    assert np.allclose(from_parameters(parameters, (0, 0, 0)), np.diag([-1.0, 1, 1, 1]))


@given(st.from_type(Parameters), st.sampled_from((6, 7, 9, 12)))
def test_dof_keeps_what_has_that_many(parameters: Parameters, dof: int) -> None:
    scale = {6: (1.0, 1.0, 1.0), 7: (parameters.scale[0],) * 3}.get(dof, parameters.scale)
    shear = parameters.shear if dof == 12 else (0.0, 0.0, 0.0)
    matrix = from_parameters(Parameters(parameters.translation_mm, parameters.rotation_deg, scale, shear), CENTER)
    assert corner_error_mm(nearest_dof(matrix, CENTER, dof), matrix, HEAD) < 1e-6


@given(st.from_type(Parameters), st.sampled_from((6, 7, 9)))
def test_dof_reduces_and_keeps_the_centre(parameters: Parameters, dof: int) -> None:
    matrix = from_parameters(parameters, CENTER)
    reduced = nearest_dof(matrix, CENTER, dof)
    found = to_parameters(reduced, CENTER)
    assert np.allclose(found.shear, 0, atol=1e-9)
    assert np.allclose(found.translation_mm, parameters.translation_mm)
    if dof < 9:
        assert np.allclose(found.scale, found.scale[0])
    if dof == 6:
        assert np.allclose(found.scale, 1)


@given(st.from_type(Parameters), st.sampled_from((6, 7)))
def test_rigid_and_similar_parts_of_the_inverse_are_the_inverses(parameters: Parameters, dof: int) -> None:
    matrix = from_parameters(parameters, CENTER)
    center_moved = apply_affine(matrix, CENTER)
    back = nearest_dof(invert(matrix), center_moved, dof)
    assert corner_error_mm(invert(nearest_dof(matrix, CENTER, dof)), back, HEAD) < 1e-6


def test_what_cannot_be_reduced_or_inverted_is_refused() -> None:
    with pytest.raises(GeometryError, match="dof"):
        nearest_dof(np.eye(4), CENTER, 8)
    with pytest.raises(GeometryError, match="reflection"):
        nearest_dof(np.diag([-1.0, 1, 1, 1]), CENTER, 6)
    with pytest.raises(GeometryError, match="invertible"):
        invert(np.diag([1.0, 1, 0, 1]))
    with pytest.raises(GeometryError, match="invertible"):
        to_parameters(np.diag([1.0, 1, 0, 1]), CENTER)


def test_random_affines_stay_in_range_and_repeat() -> None:
    matrix = random_affine(np.random.default_rng(7), center_lps=CENTER, rotation_deg=10, scale=1.2)
    found = to_parameters(matrix, CENTER)
    assert max(map(abs, found.rotation_deg)) <= 10
    assert all(1 / 1.2 <= factor <= 1.2 for factor in found.scale)
    again = random_affine(np.random.default_rng(7), center_lps=CENTER, rotation_deg=10, scale=1.2)
    assert np.array_equal(matrix, again)
