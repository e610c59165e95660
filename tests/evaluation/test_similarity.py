import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stnreg.errors import DataError
from stnreg.evaluation.similarity import (
    joint_histogram,
    mean_squared_error,
    mutual_information,
    normalised_cross_correlation,
    normalised_mutual_information,
)

quick = settings(deadline=None, max_examples=60)
whole = npst.arrays(np.float64, 60, elements=st.integers(-50, 200).map(float))
real = npst.arrays(np.float64, 60, elements=st.floats(-100, 100, allow_subnormal=False))


@quick
@given(st.one_of(whole, real), st.one_of(whole, real), st.integers(2, 40))
def test_histogram_counts_every_voxel_once_and_its_ends_hold_the_extremes(a, b, bins):
    joint = joint_histogram(a, b, bins)
    assert joint.sum() == pytest.approx(1)
    if a.max() > a.min():
        assert joint[0].sum() >= (a == a.min()).mean() - 1e-12
        assert joint[-1].sum() >= (a == a.max()).mean() - 1e-12


@pytest.mark.parametrize("bins", [16, 64, 256])
def test_mutual_information_agrees_with_medpy(bins):
    medpy = pytest.importorskip("medpy.metric.image", reason="needs medpy: pip install 'stnreg[peers]'")
    rng = np.random.default_rng(3)
    a = rng.normal(size=5000)
    b = 0.6 * a + rng.normal(size=5000)
    nats = medpy.mutual_information(a, b, bins=bins) * np.log(2)  # MedPy answers in bits
    assert mutual_information(joint_histogram(a, b, bins)) == pytest.approx(nats, abs=1e-6)


@quick
@given(whole, whole)
def test_mutual_information_is_symmetric_never_negative_and_at_most_its_own(a, b):
    ab, ba, aa = (joint_histogram(x, y, 16) for x, y in ((a, b), (b, a), (a, a)))
    assert mutual_information(ab) == pytest.approx(mutual_information(ba))
    assert 0 <= mutual_information(ab) <= mutual_information(aa) + 1e-12
    nmi = normalised_mutual_information(ab)
    if a.min() == a.max() and b.min() == b.max():
        assert np.isnan(nmi)
    else:
        assert 1 - 1e-12 <= nmi <= 2 + 1e-12


@quick
@given(real, st.floats(0.01, 100), st.floats(-100, 100))
def test_ncc_ignores_gain_and_offset(a, gain, offset):
    assume(a.std() > 1e-3)
    assert normalised_cross_correlation(a, gain * a + offset) == pytest.approx(1, abs=1e-6)
    assert normalised_cross_correlation(a, -gain * a + offset) == pytest.approx(-1, abs=1e-6)


def test_ncc_and_mse_agree_with_numpy_and_simpleitk():
    rng = np.random.default_rng(4)
    a = rng.normal(100, 20, (8, 9, 10)).astype(np.float32)
    b = (0.5 * a + rng.normal(0, 5, a.shape)).astype(np.float32)
    assert normalised_cross_correlation(a.ravel(), b.ravel()) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    method = sitk.ImageRegistrationMethod()
    images = [sitk.GetImageFromArray(x) for x in (a, b)]
    method.SetInitialTransform(sitk.TranslationTransform(3))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricAsMeanSquares()
    assert mean_squared_error(a.ravel(), b.ravel()) == pytest.approx(method.MetricEvaluate(*images), rel=1e-6)


def test_constant_images_share_nothing_and_do_not_correlate():
    flat, ramp = np.ones(9), np.arange(9.0)
    assert mutual_information(joint_histogram(flat, ramp)) == 0
    assert np.isnan(normalised_cross_correlation(flat, ramp))
    assert np.isnan(normalised_mutual_information(joint_histogram(flat, flat)))


def test_unsigned_integers_do_not_wrap():
    assert mean_squared_error(np.array([0], np.uint8), np.array([200], np.uint8)) == 40000


def test_no_overlap_is_an_error():
    with pytest.raises(DataError, match="empty"):
        joint_histogram(np.empty(0), np.empty(0))
