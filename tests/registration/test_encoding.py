"""An image that was encoded once gives what it gives when it is encoded again."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.errors import DataError, UsageProblem
from stnreg.registration.anatomy import load as anatomy_model

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"


@pytest.fixture(scope="module")
def encoded():
    return stnreg.encode(FIXED, threads=1)


@pytest.fixture
def runs(monkeypatch):
    """Count how often a network runs."""
    counted = Counter()
    run_network = anatomy_model.run_network

    def run(*arguments, **options):
        counted["network"] += 1
        return run_network(*arguments, **options)

    monkeypatch.setattr(anatomy_model, "run_network", run)

    def of(function, *arguments):
        before = counted["network"]
        return function(*arguments, threads=1), counted["network"] - before

    return of


def test_a_kept_encoding_changes_nothing_and_is_not_repeated(encoded, runs):
    anew, both = runs(stnreg.register, FIXED, MOVING)
    again, fixed = runs(stnreg.encode, FIXED)
    encoded_moving, moving = runs(stnreg.encode, MOVING)
    assert fixed > 0
    assert moving > 0
    assert both == fixed + moving
    for images, expected in (
        ((encoded, MOVING), moving),
        ((FIXED, encoded_moving), fixed),
        ((again, encoded_moving), 0),
    ):
        kept, count = runs(stnreg.register, *images)
        assert count == expected
        assert np.array_equal(kept.fixed_to_moving, anew.fixed_to_moving)
        assert kept.verdict == anew.verdict
        assert kept.fixed.path == str(FIXED)


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
