"""A lesion on one side of a brain stands out by its asymmetry."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from previews import SIZE, preview, smooth, symmetric, with_lesion

from stnreg.reports.asymmetry import asymmetry, usual_limit
from stnreg.reports.shown import slices_of


@pytest.fixture(scope="module")
def study():
    """A symmetric fixed image, and heads that differ from it, each in its own way."""
    rng = np.random.default_rng(5)
    fixed = symmetric(smooth(rng))
    return fixed, [fixed + 0.4 * smooth(rng, 2) for _ in range(12)]


def measure(image, fixed):
    return asymmetry(slices_of(preview(image, fixed)))


def test_a_lesion_on_one_side_stands_out(study):
    fixed, heads = study
    limit = usual_limit([measure(head, fixed) for head in heads[1:]])
    assert measure(heads[0], fixed) < limit
    for column in (15, SIZE[0] - 30):
        assert measure(with_lesion(heads[0], column), fixed) > limit


def test_what_is_the_same_on_both_sides_does_not_count(study):
    fixed, _ = study
    plain = measure(fixed, fixed)
    assert measure(with_lesion(fixed, 15, SIZE[0] - 30), fixed) == pytest.approx(plain, abs=0.02)
    assert plain < 0.02 < measure(with_lesion(fixed, 15), fixed)


def test_it_does_not_depend_on_the_brightness(study):
    fixed, heads = study
    head = slices_of(preview(heads[0], fixed))
    assert asymmetry([one.__class__(**vars(one) | {"moved": one.moved / 2}) for one in head]) == pytest.approx(
        asymmetry(head), rel=1e-5
    )


def test_there_is_none_on_an_image_that_is_not_symmetric_or_of_an_empty_one(study):
    fixed, heads = study
    assert measure(heads[0], fixed + smooth(np.random.default_rng(3))) is None
    assert measure(np.full(fixed.shape, -9.0), fixed) is None
