"""The verdict's benchmark: ROC curves of known scores, and wrong starts that are wrong."""

import numpy as np
import pytest

from benchmarks.common.heads import Head
from benchmarks.common.variants import Variant
from benchmarks.verdict import roc, run
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid


def test_the_curve_of_known_scores():
    good, failed = np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.75, 0.2])
    assert roc.area(good, failed) == pytest.approx(8 / 9)
    thresholds, lost, found = roc.curve(good, failed)
    at = int(np.flatnonzero(thresholds == 0.7)[0])
    assert (lost[at], found[at]) == (0, pytest.approx(2 / 3))
    low, high = roc.wilson(98, 100)
    assert low == pytest.approx(0.930, abs=1e-3)
    assert high == pytest.approx(0.994, abs=1e-3)


@pytest.mark.parametrize("kind", sorted(set(run.WRONG)))
def test_a_wrong_start_is_wrong_about_the_middle_of_the_brain(kind):
    middle = np.array([5.0, -20.0, 30.0])
    move = run.wrong(kind, middle, np.random.default_rng(0))
    points = middle + 50 * np.vstack([np.eye(3), -np.eye(3)])
    assert np.linalg.norm(apply_affine(move, points) - points, axis=1).max() > 4
    assert (np.linalg.det(move[:3, :3]) < 0) == (kind == "mirrored")
    if kind in ("turned", "scaled"):
        np.testing.assert_allclose(apply_affine(move, middle), middle, atol=1e-9)


def test_with_fewer_dof_the_truth_is_the_nearest_that_they_reach():
    shape = np.diag([1.2, 0.9, 1.0, 1.0])
    head = Head("one", *(np.zeros((2, 2, 2)),) * 2, Grid.cube((0, 0, 0), 2, 1.0))
    whole, changed = (Variant("one", head.image, head.grid, head, matrix) for matrix in (np.eye(4), shape))
    points = 50 * np.vstack([np.eye(3), -np.eye(3)])
    for dof, left in ((12, np.eye(4)), (6, np.linalg.inv(shape)), (7, np.linalg.inv(shape) * np.cbrt(1.08))):
        true = run.reachable(whole, changed, np.eye(4), points, dof)
        np.testing.assert_allclose(true[:3, :3], left[:3, :3], atol=1e-12)


def test_a_line_for_each_number_of_dof(tmp_path, capsys):
    path = tmp_path / "outcomes.csv"
    path.write_text(
        "fixed,moving,trial,kind,outcome,score,gate,dof,weights,passed\n"
        "a,b,found,whole,good,0.8,True,6,w,True\na,b,found,whole,good,0.6,True,6,w,False\n"
        "a,b,turned,whole,failed,0.3,True,6,w,False\na,b,found,whole,good,0.8,True,12,w,True\n"
    )
    roc.show_by_dof([path])
    _, rigid, affine = capsys.readouterr().out.splitlines()
    assert rigid.split() == ["6", "1", "of", "2", "1", "of", "1", "0", "of", "0", "1", "of", "1"]
    assert affine.split() == ["12", "1", "of", "1", "0", "of", "0", "0", "of", "0", "0", "of", "0"]


def test_what_counts_is_the_verdict_and_not_one_score_for_all(tmp_path):
    path = tmp_path / "outcomes.csv"
    path.write_text(
        "kind,outcome,score,gate,passed\none,failed,0.71,True,True\none,failed,0.71,True,False\n"
        "one,good,0.71,True,True\ntwo,good,0.8,True,True\n"
    )
    said = roc.sentence([path])
    assert "50.0 % of failed registrations (1 of 2)" in said
    assert "100.0 % of good ones (2 of 2)" in said
