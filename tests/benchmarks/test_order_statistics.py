import numpy as np
import pytest

from benchmarks.paper import transform_order
from benchmarks.paper.order_statistics import compare
from stnreg.networks.parameters import ORDER

SEED_EFFECT = np.array([0.0, 3.0, -2.0])  # the same in all orders: it says nothing about them


def trainings(effect, rng, orders=24):
    """Errors of `orders` orders and three seeds, mm; the last order is better by `effect`."""
    values = 10 + SEED_EFFECT + 0.1 * rng.standard_normal((orders, 3))
    values[-1] -= effect
    return values


def test_an_order_that_is_better_differs_and_the_others_do_not():
    found = compare(trainings(1.0, np.random.default_rng(0)), reference=0)
    differs = np.abs(found.less_reference) > found.half_width
    assert differs.tolist() == [False] * 23 + [True]
    assert found.less_reference[-1] == pytest.approx(-1.0, abs=0.3)
    assert found.p_value < 1e-6
    assert found.seed_spread == pytest.approx(0.1, abs=0.03)  # without what seeds share


def test_orders_that_are_alike_rarely_differ():
    rng = np.random.default_rng(1)
    found = [compare(trainings(0.0, rng), reference=0) for _ in range(200)]
    assert np.mean([(np.abs(one.less_reference) > one.half_width).any() for one in found]) < 0.1
    assert np.mean([one.p_value < 0.05 for one in found]) == pytest.approx(0.05, abs=0.04)


def test_a_table_of_too_few_seeds_has_no_intervals(capsys):
    figures = dict.fromkeys(transform_order.FIGURES, "1.0")
    rows = [
        {"order": ",".join(order), "seed": str(seed), "steps": "5", **figures, "error_mm": str(seed * (1 + place) + 1)}
        for place, order in enumerate((ORDER, ORDER[::-1]))
        for seed in range(2)
    ]
    transform_order.show(rows, 5)
    assert "differ" not in capsys.readouterr().out
    transform_order.show([*rows, *({**row, "seed": str(int(row["seed"]) + 2)} for row in rows)], 5)
    assert "differ" in capsys.readouterr().out
