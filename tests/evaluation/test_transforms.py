import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import GeometryError
from stnreg.evaluation.transforms import (
    inverse_consistency_mm,
    jacobian_determinant,
    parameter_errors,
    target_errors_mm,
)
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, random_affine
from stnreg.geometry.grid import Grid

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 10_000).map(np.random.default_rng)
GRID = Grid.from_parts((6, 5, 4), (1.0, 2.0, 3.0), (-10.0, 4.0, 30.0), [[0, 0, 1], [0.6, -0.8, 0], [0.8, 0.6, 0]])


@quick
@given(seeds)
def test_target_error_is_the_distance_between_the_images_of_each_voxel(rng):
    a, b = (random_affine(rng, center_lps=GRID.center_lps) for _ in range(2))
    mask = rng.random(GRID.shape) > 0.5
    points = apply_affine(GRID.index_to_lps, np.argwhere(mask)[:, ::-1])
    expected = np.linalg.norm(apply_affine(a, points) - apply_affine(b, points), axis=1)
    np.testing.assert_allclose(target_errors_mm(a, b, GRID, mask), expected, atol=1e-9)


def test_each_parameter_error_is_reported_in_its_unit():
    truth = Parameters((1.0, 2.0, 3.0), (10.0, -5.0, 3.0), (1.1, 0.9, 1.0), (0.05, 0.0, -0.02))
    found = Parameters((1.5, 2.0, 1.0), (10.0, -8.0, 3.0), (1.1, 0.95, 1.0), (0.05, 0.01, -0.02))
    center = np.array([10.0, -20.0, 5.0])
    errors = parameter_errors(from_parameters(found, center), from_parameters(truth, center), center)
    assert errors["translation_z"] == (pytest.approx(2.0), "mm")
    assert errors["translation"] == (pytest.approx(2.5 / 3), "mm")
    assert errors["rotation_y"] == (pytest.approx(3.0), "deg")
    assert errors["rotation"] == (pytest.approx(1.0), "deg")
    assert errors["scale_y"] == (pytest.approx(0.05), "1")
    assert errors["shear"] == (pytest.approx(0.01 / 3), "1")
    assert errors["scale_x"][0] == pytest.approx(0, abs=1e-9)


@quick
@given(st.floats(0.001, 179))
def test_the_angle_between_rotations_is_exact_near_zero_and_near_a_half_turn(angle):
    turned = from_parameters(Parameters(rotation_deg=(0.0, 0.0, angle)), np.zeros(3))
    assert parameter_errors(turned, np.eye(4), np.zeros(3))["rotation_angle"][0] == pytest.approx(angle, rel=1e-9)


def test_what_has_no_parameters_is_refused():
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    for pair in ((flat, np.eye(4)), (np.eye(4), flat), (np.eye(3), np.eye(4))):
        with pytest.raises(GeometryError):
            parameter_errors(*pair, np.zeros(3))
    mirrored = parameter_errors(np.diag([1.0, 1.0, -1.0, 1.0]), np.eye(4), np.zeros(3))
    assert mirrored["scale_z"] == (pytest.approx(2), "1")


def test_angles_are_compared_around_the_circle():
    a, b = (from_parameters(Parameters(rotation_deg=(0.0, 0.0, d)), np.zeros(3)) for d in (179.0, -179.0))
    assert parameter_errors(a, b, np.zeros(3))["rotation_z"][0] == pytest.approx(2)


@quick
@given(seeds)
def test_there_and_back_is_nowhere(rng):
    matrix = random_affine(rng)
    assert inverse_consistency_mm(matrix, np.linalg.inv(matrix), GRID.corners_lps()).max() < 1e-9
    assert jacobian_determinant(np.linalg.inv(matrix)) == pytest.approx(1 / jacobian_determinant(matrix))
