import numpy as np
import pytest

from stnreg.simulation.change import ventricle_growth
from stnreg.simulation.moves import Ranges
from stnreg.simulation.visits import Anatomy, VisitPlan, random_plan, scan_visit


@pytest.fixture(scope="module")
def anatomy(head_file):
    return Anatomy.load(str(head_file), np.random.default_rng(0))


def plan(**changes):
    return VisitPlan((4.0, 4.0, 4.0), moves=Ranges(), **changes)


def test_a_loss_is_a_loss_and_a_growth_a_growth(anatomy):
    lost = scan_visit(anatomy, plan(loss=0.03), np.random.default_rng(1)).volumes
    assert 0.96 < lost["brain"] < 0.98
    grown = scan_visit(anatomy, plan(growth=0.1), np.random.default_rng(1)).volumes
    assert 1.05 < grown["ventricles"] < 1.15
    assert 0.99 < grown["tissue"] < 1.001
    assert scan_visit(anatomy, plan(), np.random.default_rng(1)).volumes["brain"] == 1.0


def test_the_skull_does_not_move_when_ventricles_grow(anatomy):
    vectors = ventricle_growth(anatomy.codes, 0.2).vectors
    outside = anatomy.codes[::2, ::2, ::2] >= 200
    assert np.abs(vectors[outside]).max() < 0.05 * np.abs(vectors).max()


def test_the_same_numbers_make_the_same_visit(anatomy):
    one, same, other = (scan_visit(anatomy, plan(noise=0.05), np.random.default_rng(k)) for k in (1, 1, 2))
    assert np.array_equal(one.image.array, same.image.array)
    assert np.array_equal(one.head_to_visit, same.head_to_visit)
    assert not np.array_equal(one.image.array, other.image.array)


def test_plans_differ_in_noise_gain_and_grid():
    plans = [random_plan(np.random.default_rng(k), k) for k in range(6)]
    assert len({p.spacing_mm for p in plans}) == 5
    assert all(0.03 <= p.noise <= 0.06 for p in plans)
    assert len({p.gain for p in plans}) == 6
