import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.series.bias import BiasFit
from stnreg.registration.series.contrast import evened

GRID = Grid.cube((0, 0, 0), 40, 4.0)
Z, Y, X = np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij")
BALL = (np.sqrt(X**2 + Y**2 + Z**2) < 0.8).astype(np.float32)
FIELD = 0.1 * X + 0.05 * Y * Z - 0.08 * Z**2 + 0.03


def test_a_bias_field_and_an_offset_are_found_up_to_the_edge():
    signal = (1 + 0.3 * np.sin(9 * X) * np.cos(7 * Y)).astype(np.float32)
    difference = (FIELD * signal + 0.02).astype(np.float32)
    bias, offset = BiasFit(signal, BALL, GRID, with_offset=True).of(difference)
    assert offset == pytest.approx(0.02, abs=2e-3)
    assert np.abs(bias - FIELD)[BALL > 0].max() < 4e-3


def test_bias_fields_are_evened_out():
    rng = np.random.default_rng(0)
    truth = 100 + rng.standard_normal((40, 40, 40))
    visits = [(truth * np.exp(sign * FIELD)).astype(np.float32) for sign in (-1, 1)]
    even = evened(visits, (1.0, 1.0), GRID, BALL)
    assert np.abs(visits[0] / visits[1] - 1)[BALL > 0].max() > 0.1
    assert np.abs(even[0] / even[1] - 1)[BALL > 0].max() < 5e-3
