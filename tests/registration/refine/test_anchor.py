import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine, invert, mean_error_mm, nearest_dof, random_affine
from stnreg.registration.refine.anchor import Structures, pull_of
from stnreg.registration.refine.degrees_of_freedom import step

RNG = np.random.default_rng(5)
POINTS = RNG.uniform(-60, 60, (40, 3))
TRUTH = random_affine(np.random.default_rng(3), translation_mm=10, rotation_deg=20, scale=1.1, shear=0.05)
CENTER = np.array([1.0, -2.0, 3.0])


@pytest.fixture
def structures():
    noise = RNG.standard_normal(POINTS.shape)
    return Structures(POINTS, apply_affine(TRUTH, POINTS) + noise, RNG.uniform(0.1, 1, len(POINTS)))


def test_steps_lead_to_the_affine_of_the_structures(structures):
    current = step(TRUTH, RNG.uniform(-0.03, 0.03, 12), CENTER, 12)
    costs = []
    for _ in range(8):
        pull = structures.at(current, CENTER)
        costs.append(pull.cost)
        current = step(current, np.linalg.solve(pull.normal, pull.rhs), CENTER, 12)
    assert costs[-1] < costs[0] / 2
    assert mean_error_mm(current, TRUTH, POINTS) < 1.0
    assert np.linalg.norm(structures.at(current, CENTER).rhs) < 1e-3 * np.linalg.norm(structures.at(TRUTH, CENTER).rhs)


def test_exchanged_images_cost_the_same(structures):
    back = Structures(structures.moving_lps, structures.fixed_lps, structures.weights)
    assert back.at(invert(TRUTH), CENTER).cost == pytest.approx(structures.at(TRUTH, CENTER).cost)


def test_exchanged_images_are_pulled_the_same_way(structures):
    """The slope of the cost along a change of the map is the same, however the pair is called."""
    stretched = TRUTH @ np.diag([1.2, 0.9, 1.05, 1.0])
    back = Structures(structures.moving_lps, structures.fixed_lps, structures.weights)
    change = RNG.uniform(-0.01, 0.01, 12)
    there = structures.at(stretched, CENTER).rhs @ change
    changed = invert(step(stretched, 1e-4 * change, CENTER, 12))
    middle = apply_affine(stretched, CENTER)
    # The same change as a step of the inverse: found by what steps do to it.
    start = invert(stretched)
    tangents = np.stack([(step(start, 1e-4 * e, middle, 12) - start).ravel() for e in np.eye(12)])
    same_change = np.linalg.lstsq(tangents.T, (changed - start).ravel(), rcond=None)[0]
    assert back.at(start, middle).rhs @ same_change == pytest.approx(there, rel=1e-3)


def test_terms_add_up_and_none_is_zero(structures):
    one, two = pull_of([structures], TRUTH, CENTER), pull_of([structures, structures], TRUTH, CENTER)
    np.testing.assert_allclose(two.rhs, 2 * one.rhs)
    assert two.cost == pytest.approx(2 * one.cost)
    nothing = pull_of([], TRUTH, CENTER)
    assert nothing.cost == 0
    assert not nothing.normal.any()


def test_the_misfit_of_one_head_is_one_and_of_two_shapes_larger(structures):
    moved = nearest_dof(TRUTH, CENTER, 6)
    noise = structures.moving_lps - apply_affine(TRUTH, POINTS)
    one = Structures(POINTS, apply_affine(moved, POINTS) + noise, structures.weights)
    assert 1 <= one.misfit < 1.2
    assert structures.misfit > 1.5
