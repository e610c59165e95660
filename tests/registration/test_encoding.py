"""An image that was encoded once gives what it gives when it is encoded again."""

from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.errors import DataError, UsageProblem

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"


@pytest.fixture(scope="module")
def encoded():
    return stnreg.encode(FIXED, threads=1)


def test_a_kept_encoding_changes_nothing(encoded):
    anew = stnreg.register(FIXED, MOVING, threads=1)
    for kept in (
        stnreg.register(encoded, MOVING, threads=1),
        stnreg.register(encoded, stnreg.encode(MOVING, threads=1), threads=1),
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


def test_an_encoding_of_another_network_is_refused(encoded):
    with pytest.raises(UsageProblem, match="encoded by anatomy"):
        stnreg.register(encoded, MOVING, model="affine")


def test_a_pair_network_encodes_no_image_alone():
    with pytest.raises(UsageProblem, match="both images"):
        stnreg.encode(FIXED, model="affine")


def test_earlier_names_stay():
    assert stnreg.look is stnreg.encode
    assert stnreg.Seen is stnreg.EncodedImage
    assert stnreg.Registration is stnreg.RegistrationResult
