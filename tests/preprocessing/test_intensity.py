"""Intensities end in [0, 1], whatever gain and offset a scanner had."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import UsageProblem
from stnreg.preprocessing.intensity import minmax, normalise, percentile

IMAGE = np.random.default_rng(0).gamma(2.0, 100.0, (6, 7, 8))


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.sampled_from(("minmax", "percentile")))
def test_gain_and_offset_do_not_matter(gain: float, offset: float, rule: str) -> None:
    one, other = normalise(IMAGE, rule), normalise(IMAGE * gain + offset, rule)
    assert one.dtype == np.float32
    assert (one.min(), one.max()) == (0, pytest.approx(1))
    assert np.abs(one - other).max() < 1e-3 * max(1, abs(offset) / gain / 100)


def test_integers_do_not_wrap() -> None:
    assert np.allclose(minmax(np.array([-32768, 32767], np.int16)), (0, 1))
    assert np.allclose(minmax(np.array([0, 255], np.uint8)), (0, 1))


def test_one_bright_voxel_decides_nothing_under_percentiles() -> None:
    bright = IMAGE.copy()
    bright[0, 0, 0] = 1e6
    assert abs(float(percentile(bright, 0.5, 99)[1].mean() - percentile(IMAGE, 0.5, 99)[1].mean())) < 0.02


def test_nearly_and_wholly_constant_images() -> None:
    assert not minmax(np.full((2, 2), 7)).any()
    few = np.zeros(10_000)
    few[3] = 5
    assert percentile(few).max() == 1


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UsageProblem, match="minmax"):
        normalise(IMAGE, "zscore")
