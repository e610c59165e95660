from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import apply_affine, compose, invert, mean_error_mm
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series

EXAMPLES = Path(__file__).parents[3] / "examples"
OPTIONS = SeriesOptions(threads=1, device="cpu")
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def result(visits):
    return register_series(visits[0], NAMES, OPTIONS)


def test_known_moves_are_found(result, visits):
    _, maps = visits
    assert [visit.status for visit in result.visits] == ["kept"] * 3
    points = result.center_lps + np.random.default_rng(0).uniform(-50, 50, (100, 3))
    for i, j in combinations(range(3), 2):
        own = apply_affine(result.visits[i].space_to_visit, points)
        truth = compose(maps[j], invert(maps[i]))
        assert mean_error_mm(result.between(NAMES[i], NAMES[j]), truth, own) < 0.1
    assert result.moved_mm[-1] <= 0.01


def test_no_visit_has_the_grid_of_the_template(result):
    for visit in result.kept:
        assert not result.template.grid.is_close(visit.image.grid)
        moved = result.resampled(visit)
        assert moved.shape == result.template.array.shape
        assert np.isfinite(moved).all()
    assert np.corrcoef(result.resampled(result.kept[0]).ravel(), result.template.array.ravel())[0, 1] > 0.98


def test_the_order_of_the_visits_does_not_matter(result, visits):
    order = [2, 0, 1]
    again = register_series([visits[0][k] for k in order], [NAMES[k] for k in order], OPTIONS)
    for a, b in combinations(NAMES, 2):
        assert np.abs(result.between(a, b) - again.between(a, b)).max() < 1e-6
    assert np.abs(result.template.array - again.template.array).max() < 1e-3 * result.template.array.max()


def test_another_person_is_named_and_left_out(visits):
    found = register_series([*visits[0][:2], EXAMPLES / "moving.nii.gz", "nowhere.nii.gz"], None, OPTIONS)
    assert [visit.status for visit in found.visits] == ["kept", "kept", "left out", "error"]
    assert "another person" in found.visits[2].reason
    assert "no such file" in found.visits[3].reason


def test_two_people_make_no_series(visits):
    found = register_series([visits[0][0], EXAMPLES / "moving.nii.gz"], None, OPTIONS)
    assert found.template is None
    assert not found.kept
    assert all(visit.reason for visit in found.visits)


def test_wrong_use_is_refused(visits):
    with pytest.raises(UsageProblem, match="two visits"):
        register_series(visits[0][:1])
    with pytest.raises(UsageProblem, match="name of its own"):
        register_series(visits[0][:2], ["a", "a"])
    with pytest.raises(UsageProblem, match="12"):
        SeriesOptions(dof=12, change=True)
