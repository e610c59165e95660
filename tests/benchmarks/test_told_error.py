import numpy as np
import pytest

from benchmarks.series.people import load
from benchmarks.series.told_error import TUNING, columns, constants
from stnreg.registration.series.change import EDGE_MM, SHIFT_MM


def test_constants_that_errors_were_drawn_with_are_found():
    rng = np.random.default_rng(0)
    boundary, change = rng.uniform(0.05, 0.6, 400), rng.choice([0.0, -0.02, 0.1, 0.18], 400)
    random = np.full(400, 2e-4)
    off = rng.standard_normal(400) * np.sqrt(random**2 + boundary**2 * (0.006**2 + (0.1 * change) ** 2))
    found = constants(off, random, boundary, change)
    assert (found.shift_mean, found.edge_mean) == pytest.approx((0.006, 0.1), rel=0.15)
    assert found.shift_mean < found.shift_limit < 1.1 * found.shift_mean
    few = constants(off[:8], random[:8], boundary[:8], change[:8])
    assert few.shift_limit > found.shift_limit


def test_the_constants_of_the_measure_are_those_of_the_tuning_pairs():
    found = constants(*columns(load(TUNING)))
    assert pytest.approx(found.edge_mean, abs=6e-3) == EDGE_MM
    assert pytest.approx(found.shift_limit, abs=6e-5) == SHIFT_MM
