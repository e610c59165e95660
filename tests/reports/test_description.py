"""JSON, tables and pictures say the same of a registration."""

from dataclasses import replace
from pathlib import Path

import pytest

import stnreg
from stnreg.batch import work
from stnreg.batch.table import COLUMNS
from stnreg.registration.result import RegistrationResult
from stnreg.reports.description import describe_registration, summary

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def result() -> RegistrationResult:
    return stnreg.register(EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz", threads=2)


def test_where_the_overlap_supports_fewer_dof_all_say_how_many(result):
    assert result.refined is not None
    fewer = replace(result, refined=replace(result.refined, dof=6))
    document = describe_registration(fewer)
    assert document["transform"]["dof"] == fewer.dof == 6
    assert document["transform"]["dof_requested"] == 12
    assert "6 dof" in summary(fewer)[0]
    assert work._figures(fewer, document)["dof"] == 6
    assert "dof" in COLUMNS


def test_what_was_asked_for_and_found_are_both_said(result):
    said = describe_registration(result)["transform"]
    assert (said["dof"], said["dof_requested"]) == (12, 12)
