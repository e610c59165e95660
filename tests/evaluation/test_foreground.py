import numpy as np
import pytest

from stnreg.errors import UsageProblem
from stnreg.evaluation.foreground import foreground_mask


@pytest.fixture
def head():
    rng = np.random.default_rng(0)
    array = np.abs(rng.normal(0, 2, (20, 20, 20)))
    array[5:15, 5:15, 5:15] += 100
    return array


@pytest.mark.parametrize("rule", ["share:0.2", "share", "otsu"])
def test_each_rule_finds_the_cube_in_the_noise(head, rule):
    assert foreground_mask(head, rule).sum() == 1000


def test_nonzero_takes_noise_too(head):
    assert foreground_mask(head, "nonzero").all()


def test_nan_is_no_foreground():
    assert not foreground_mask(np.array([np.nan, 0.0]), "nonzero").any()


@pytest.mark.parametrize("rule", ["share:2", "share:x", "brain", ""])
def test_unknown_rules_are_refused(rule):
    with pytest.raises(UsageProblem, match="nonzero, share:S"):
        foreground_mask(np.zeros(3), rule)
