"""Logarithms of affines, against each other and against scipy."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, reject
from hypothesis import strategies as st

from stnreg.errors import GeometryError
from stnreg.geometry.affine import Parameters, compose, corner_error_mm, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.lie import exp_affine, geodesic_mean, log_affine

HEAD = Grid.cube((0, 0, 0), 100, 2.0)
CENTER = (5.0, -20.0, 40.0)


@given(st.from_type(Parameters))
def test_exp_undoes_log(parameters: Parameters) -> None:
    matrix = from_parameters(parameters, CENTER)
    try:
        generator = log_affine(matrix)
    except GeometryError:
        reject()  # a turn by 180 degrees; were all of them, hypothesis would say so
    assert corner_error_mm(exp_affine(generator), matrix, HEAD) < 1e-6


@given(st.from_type(Parameters))
def test_exp_is_that_of_scipy(parameters: Parameters) -> None:
    generator = from_parameters(parameters, CENTER) - np.eye(4)
    assert np.allclose(exp_affine(generator), scipy.linalg.expm(generator), rtol=1e-9, atol=1e-9)


@given(st.from_type(Parameters), st.from_type(Parameters))
def test_the_mean_of_inverses_is_the_inverse_of_the_mean(one: Parameters, other: Parameters) -> None:
    small = [Parameters(p.translation_mm, tuple(a / 4 for a in p.rotation_deg), p.scale, p.shear) for p in (one, other)]
    a, b = (from_parameters(p, CENTER) for p in small)
    mean = geodesic_mean([a, b])
    assert corner_error_mm(invert(geodesic_mean([invert(a), invert(b)])), mean, HEAD) < 1e-6
    # Half-way: as far from a to the mean as from the mean to b.
    assert corner_error_mm(compose(mean, invert(a), mean), b, HEAD) < 1e-6


def test_weights_choose() -> None:
    turn = from_parameters(Parameters(rotation_deg=(0, 0, 40)), (0, 0, 0))
    quarter = from_parameters(Parameters(rotation_deg=(0, 0, 10)), (0, 0, 0))
    assert np.allclose(geodesic_mean([np.eye(4), turn], [3, 1]), quarter)
    assert np.allclose(geodesic_mean([turn]), turn)


@pytest.mark.parametrize("diagonal", [(-1.0, 1, 1, 1), (-1.0, -1, 1, 1)])
def test_no_logarithm_is_an_error(diagonal: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="logarithm"):
        log_affine(np.diag(diagonal))
