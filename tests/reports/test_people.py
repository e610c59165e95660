"""Two scans under one name that show two people are found, and one person under two names."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from previews import preview, smooth, symmetric

from stnreg.reports.people import folds, person_of, wrong_people
from stnreg.reports.shown import slices_of


@pytest.fixture(scope="module")
def scans():
    """The folds of two visits of three people, who share what all brains have; and their negative."""
    rng = np.random.default_rng(4)
    shared, noise = symmetric(smooth(rng, 2)), lambda: 0.3 * smooth(rng, 2)

    def seen(image):
        return folds(slices_of(preview(image, shared)))

    people = {name: shared + smooth(rng, 2) for name in "abc"}
    found = {f"{name}{visit}": seen(image + noise()) for name, image in people.items() for visit in (1, 2)}
    return found | {"other contrast": seen(-people["a"])}


def test_visits_of_one_person_are_alike(scans):
    named = {"sub-1_ses-1_T1w": scans["a1"], "sub-1_ses-2_T1w": scans["a2"], "sub-2_T1w": scans["b1"]}
    assert wrong_people(named) == {}


def test_two_people_under_one_name_are_both_named(scans):
    named = {"sub-1_ses-1_T1w": scans["a1"], "sub-1_ses-2_T1w": scans["b1"], "sub-2_T1w": scans["c1"]}
    found = wrong_people(named)
    assert [*found] == ["sub-1_ses-1_T1w", "sub-1_ses-2_T1w"]
    assert "does not look like the same person as sub-1_ses-2_T1w" in found["sub-1_ses-1_T1w"]


def test_of_three_visits_the_odd_one_is_named(scans):
    named = {"sub-1_ses-1": scans["a1"], "sub-1_ses-2": scans["b1"], "sub-1_ses-3": scans["a2"]}
    assert [*wrong_people(named)] == ["sub-1_ses-2"]


def test_one_person_under_two_names_is_found(scans):
    found = wrong_people({"sub-1_T1w": scans["a1"], "sub-2_T1w": scans["b1"], "sub-3_T1w": scans["a2"]})
    assert [*found] == ["sub-1_T1w", "sub-3_T1w"]
    assert "looks like the same person as sub-3_T1w" in found["sub-1_T1w"]


def test_nothing_is_said_of_another_contrast_and_of_names_without_a_person(scans):
    assert wrong_people({"sub-1_T1w": scans["a1"], "sub-1_T2w": scans["other contrast"]}) == {}
    assert wrong_people({"head1": scans["a1"], "head2": scans["a2"]}) == {}
    assert person_of("mysub-1_T1w") is None
