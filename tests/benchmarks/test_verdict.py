"""The verdict's benchmark: ROC curves of known scores, and wrong starts that are wrong."""

import numpy as np
import pytest

from benchmarks.verdict import roc, run
from stnreg.geometry.affine import apply_affine


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
