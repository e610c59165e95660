"""Scans with left and right exchanged are found among others by their asymmetry."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from previews import preview, smooth, symmetric

from stnreg.reports.shown import slices_of
from stnreg.reports.sides import LEAST, OPPOSITE, compare, difference


def sides_of(previews, votes):
    return compare([difference(slices_of(one)) for one in previews], votes)


@pytest.fixture(scope="module")
def study():
    """Twelve heads that share an asymmetry, and their fixed image."""
    rng = np.random.default_rng(1)
    fixed, shared = symmetric(smooth(rng)), smooth(rng)
    return fixed, [fixed + 0.7 * shared + 0.7 * smooth(rng) for _ in range(12)]


def test_the_exchanged_one_is_found_and_no_other(study):
    fixed, heads = study
    for exchanged in (0, 7):
        found = sides_of(
            [preview(head[:, ::-1] if k == exchanged else head, fixed) for k, head in enumerate(heads)], [True] * 12
        )
        assert [k for k, value in enumerate(found) if value < OPPOSITE] == [exchanged]


def test_one_without_a_vote_is_measured_and_does_not_count(study):
    fixed, heads = study
    previews = [preview(head, fixed) for head in heads]
    votes = [True] * 11 + [False]
    before = sides_of(previews, votes)
    changed = sides_of([*previews[:11], preview(heads[11][:, ::-1], fixed)], votes)
    assert changed[:11] == before[:11]
    assert changed[11] < OPPOSITE < before[11]


def test_there_is_no_answer_without_enough_scans(study):
    fixed, heads = study
    few = [preview(head, fixed) for head in heads[:LEAST]]
    assert sides_of(few, [True] * LEAST) == [None] * LEAST


def test_there_is_no_answer_where_nothing_is_shared(study):
    fixed, _ = study
    rng = np.random.default_rng(2)
    assert set(sides_of([preview(fixed + smooth(rng), fixed) for _ in range(12)], [True] * 12)) == {None}


def test_there_is_no_answer_on_an_image_that_is_not_symmetric(study):
    fixed, heads = study
    skewed = fixed + smooth(np.random.default_rng(3))
    assert set(sides_of([preview(head, skewed) for head in heads], [True] * 12)) == {None}
