import numpy as np
import pytest

from stnreg.geometry.affine import mean_error_mm, random_affine
from stnreg.registration.refine.degrees_of_freedom import step
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.linearization import linearize_both, total_cost
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, middle, take_samples


@pytest.mark.parametrize("newton", [False, True])
def test_one_level_finds_the_map(head, newton):
    move = random_affine(np.random.default_rng(2))
    levels = [build_levels(head.scan(m), (4.0,), Region(head.brain(m)))[0] for m in (np.eye(4), move)]
    fixed, moving = (SampledImage(take_samples(level, 8000), level) for level in levels)
    center = middle(fixed, moving, move)
    start = step(move, np.random.default_rng(3).uniform(-0.03, 0.03, 12), center, 12)
    end = minimize(fixed, moving, start, dof=12, max_steps=15, stop_mm=0.005, newton=newton)
    assert mean_error_mm(start, move, head.points()) > 1.5
    assert mean_error_mm(end.fixed_to_moving, move, head.points()) < 0.1
    assert end.last_step_mm < 0.005
    first = linearize_both(fixed, moving, start, center)
    assert total_cost(end.linearized, first) < total_cost(first, first)


def test_without_overlap_the_initial_transform_is_returned(head):
    level = build_levels(head.scan(np.eye(4)), (8.0,), Region(head.brain(np.eye(4))))[0]
    sampled = SampledImage(take_samples(level, 2000), level)
    away = np.eye(4)
    away[0, 3] = 1000.0
    end = minimize(sampled, sampled, away, dof=12, max_steps=5, stop_mm=0.1)
    np.testing.assert_allclose(end.fixed_to_moving, away)
    assert end.correlation == 0
