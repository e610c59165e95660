"""An image that was looked at once gives what it gives when it is looked at anew."""

from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.errors import DataError, UsageProblem

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"


@pytest.fixture(scope="module")
def seen():
    return stnreg.look(FIXED, threads=1)


def test_a_kept_look_changes_nothing(seen):
    anew = stnreg.register(FIXED, MOVING, threads=1)
    for kept in (
        stnreg.register(seen, MOVING, threads=1),
        stnreg.register(seen, stnreg.look(MOVING, threads=1), threads=1),
    ):
        assert np.array_equal(kept.fixed_to_moving, anew.fixed_to_moving)
        assert kept.verdict == anew.verdict
        assert kept.fixed.path == str(FIXED)
        assert kept.timings_s["network"] < anew.timings_s["network"]


def test_reading_both_at_once_changes_nothing():
    one, two = (stnreg.register(FIXED, MOVING, refine=False, threads=n) for n in (1, 2))
    assert np.allclose(one.fixed_to_moving, two.fixed_to_moving, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_of_two_bad_images_is_named(threads):
    with pytest.raises(DataError, match="first"):
        stnreg.register("first.nii.gz", "second.nii.gz", threads=threads)


def test_a_look_of_another_network_is_refused(seen):
    with pytest.raises(UsageProblem, match="looked at by anatomy"):
        stnreg.register(seen, MOVING, model="affine")


def test_a_pair_network_keeps_no_look():
    with pytest.raises(UsageProblem, match="both images"):
        stnreg.look(FIXED, model="affine")
