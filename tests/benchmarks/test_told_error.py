import numpy as np
import pytest

from benchmarks.series.run import load
from benchmarks.series.told_error import TUNING, columns, constants
from stnreg.registration.series.change import EDGE_MM, SHIFT_MM


def test_constants_that_errors_were_drawn_with_are_found():
    rng = np.random.default_rng(0)
    boundary, change = rng.uniform(0.05, 0.6, 400), rng.choice([0.0, -0.02, 0.1, 0.18], 400)
    random = np.full(400, 2e-4)
    off = rng.standard_normal(400) * np.sqrt(random**2 + boundary**2 * (0.006**2 + (0.1 * change) ** 2))
    assert constants(off, random, boundary, change) == pytest.approx((0.006, 0.1), rel=0.15)


def test_no_constant_of_the_measure_is_less_than_the_tuning_pairs_tell():
    shift, edge = constants(*columns(load(TUNING)))
    assert pytest.approx(edge, abs=6e-3) == EDGE_MM
    assert shift <= SHIFT_MM
