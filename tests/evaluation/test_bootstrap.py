import numpy as np

from stnreg.evaluation.bootstrap import bootstrap_mean


def test_interval_holds_the_mean_and_narrows_with_more_pairs():
    rng = np.random.default_rng(1)
    few, many = rng.normal(5, 1, 10), rng.normal(5, 1, 1000)
    mean, low, high, count = bootstrap_mean(few)
    assert low < mean < high
    assert count == 10
    _, low_many, high_many, _ = bootstrap_mean(many)
    assert high_many - low_many < (high - low) / 3
    expected = 1.96 / np.sqrt(1000)
    np.testing.assert_allclose((high_many - low_many) / 2, expected, rtol=0.15)


def test_a_seed_gives_the_same_interval():
    values = np.arange(20.0)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_nothing_has_no_mean():
    mean, low, high, count = bootstrap_mean(np.array([np.nan]))
    assert np.isnan([mean, low, high]).all()
    assert count == 0
