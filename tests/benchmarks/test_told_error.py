import numpy as np
import pytest

from benchmarks.series.run import load
from benchmarks.series.told_error import TUNING, columns, constants
from stnreg.registration.series.change import CHANGE_SHARE, SHIFT_MM


def test_constants_that_errors_were_drawn_with_are_found():
    rng = np.random.default_rng(0)
    boundary, change = rng.uniform(0.05, 0.6, 400), rng.choice([0.0, -0.02, 0.1, 0.18], 400)
    random = np.full(400, 2e-4)
    off = rng.standard_normal(400) * np.sqrt(random**2 + (0.006 * boundary) ** 2 + (0.03 * change) ** 2)
    assert constants(off, random, boundary, change) == pytest.approx((0.006, 0.03), rel=0.15)


def test_the_constants_of_the_measure_are_those_of_the_tuning_pairs():
    shift, share = constants(*columns(load(TUNING)))
    assert pytest.approx(shift, abs=6e-5) == SHIFT_MM
    assert pytest.approx(share, abs=6e-4) == CHANGE_SHARE
