"""JSON, tables and pictures say the same of a registration."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.batch import work
from stnreg.batch.table import COLUMNS
from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.frame import Frame
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.result import RegistrationResult
from stnreg.reports.description import describe_registration, summary
from stnreg.transforms.velocity import VelocityField

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


def test_what_was_not_deformed_says_nothing_of_a_deformation(result):
    assert "deformation" not in describe_registration(result)
    assert not any("deformation" in line for line in summary(result))
    row = work._figures(result, describe_registration(result))
    assert row["log_jacobian_sd"] is None
    assert row["folds"] is None


def test_a_deformation_has_a_line_of_its_own(result):
    grid = Grid.cube(np.zeros(3), (4, 4, 4), 2.0)
    frame = Frame(np.eye(4), np.eye(4))
    found = Deformation(VelocityField(np.zeros((3, 4, 4, 4), np.float32), grid), frame, 1, 2, 0.25, 9.5, 0.7, 0.8, 1.5)
    deformed = replace(result, deformation=found, transform=found.transform)
    (line,) = (line for line in summary(deformed) if "deformation" in line)
    for said in ("9.5 mm", "0.25", "2 folds", "0.80", "0.70"):
        assert said in line
    block = describe_registration(deformed)["deformation"]
    assert (block["folds_central"], block["folds_digital"], block["largest_mm"]) == (1, 2, 9.5)
    row = work._figures(deformed, describe_registration(deformed))
    assert (row["log_jacobian_sd"], row["folds"]) == (0.25, 2)
