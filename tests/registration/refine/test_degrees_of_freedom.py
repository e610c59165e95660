import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.geometry.affine import apply_affine, nearest_dof, random_affine
from stnreg.registration.refine.degrees_of_freedom import UNIT_MM, directions, step, supported_dof

DOFS = (6, 7, 9, 12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(DOFS))
def test_a_step_stays_in_the_family(seed, dof):
    rng = np.random.default_rng(seed)
    center = rng.uniform(-50, 50, 3)
    start = nearest_dof(random_affine(rng), center, dof)
    basis = directions(start, dof)
    assert basis.shape == (12, dof)
    stepped = step(start, basis @ rng.uniform(-0.2, 0.2, dof), center, dof)
    np.testing.assert_allclose(stepped, nearest_dof(stepped, center, dof), atol=1e-9)


def test_a_rigid_step_is_rigid_to_rounding():
    rng = np.random.default_rng(5)
    matrix = nearest_dof(random_affine(rng), (0, 0, 0), 6)
    for _ in range(40):
        matrix = step(matrix, directions(matrix, 6) @ rng.uniform(-0.1, 0.1, 6), rng.uniform(-50, 50, 3), 6)
    np.testing.assert_allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-13)


@pytest.mark.parametrize("dof", DOFS)
def test_parameters_are_a_small_motion_before_the_affine(dof):
    rng = np.random.default_rng(dof)
    center = np.array([10.0, -20, 30])
    start = nearest_dof(random_affine(rng), center, dof)
    numbers = directions(start, dof) @ rng.uniform(-1e-4, 1e-4, dof)
    points = rng.uniform(-80, 80, (20, 3))
    small = np.reshape(numbers, (3, 4))
    moved = points + (points - center) @ small[:, :3].T + UNIT_MM * small[:, 3]
    np.testing.assert_allclose(
        apply_affine(step(start, numbers, center, dof), points), apply_affine(start, moved), atol=1e-5
    )


def test_less_overlap_supports_fewer_degrees_of_freedom():
    assert [supported_dof(12, mm, 1000) for mm in (35.0, 5.0, 1.0)] == [12, 7, 6]
    assert supported_dof(12, 35.0, 20.0) == 6
    assert supported_dof(6, 5.0, 1000) == 6
