"""The calibration of an anatomy network: its rules on made-up figures, its spread on the released network."""

from dataclasses import asdict

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.models.calibration import Calibration
from stnreg.models.card import find
from stnreg.training.anatomy.calibrate import measure, table
from stnreg.training.anatomy.outcomes import WRONG, Outcomes, wrong_move
from stnreg.training.anatomy.thresholds import choose_thresholds, read_outcomes, separating_range


def outcomes(**given):
    empty = dict.fromkeys(Outcomes.__dataclass_fields__, np.array([]))
    return Outcomes(**{**empty, **{name: np.array(values, float) for name, values in given.items()}})


def test_any_threshold_in_a_gap_is_best():
    assert separating_range(np.array([1.0, 2, 3]), np.array([5.0, 6])) == (3.0, 5.0, 1.0)


def test_where_figures_overlap_the_smaller_share_is_the_largest_that_can_be():
    low, high = np.array([1.0, 2, 3, 9]), np.array([4.0, 5, 6, 0])
    least, largest, share = separating_range(low, high)
    assert (least, largest, share) == (3.0, 4.0, 0.75)
    for threshold in (least + 0.1, largest):
        assert min((low < threshold).mean(), (high >= threshold).mean()) == share


@pytest.mark.parametrize(("low", "high"), [([], [1.0]), ([1.0], []), ([1.0], [np.inf])])
def test_what_cannot_be_told_apart_has_no_threshold(low, high):
    assert separating_range(np.array(low), np.array(high)) is None


def test_thresholds_follow_their_rules():
    found = outcomes(
        good_scores=[0.8, 0.9],
        failed_scores=[0.1, 0.6],
        right_fit_mm=[2, 3.333],
        wrong_fit_mm=[6, np.inf],
        right_residual_mm=[3.0] * 20,
        whole_error_mm=[0.8, 0.9],
        half_error_mm=[1.5, 2],
    )
    chosen = choose_thresholds(found)
    assert list(chosen) == list(asdict(Calibration()))
    values = {name: threshold.value for name, threshold in chosen.items()}
    assert values["min_score"] == pytest.approx(0.7)
    assert values["accept_mm"] == pytest.approx(3.34)
    assert values["max_residual_mm"] == pytest.approx(6.0)
    assert values["whole_head_error_mm"] == pytest.approx(1.2)
    assert chosen["repeat_mm"].how == "kept"
    assert Calibration.from_card({"calibration": values}, "here") == Calibration(**values)


def test_without_outcomes_the_defaults_are_kept_and_it_is_said():
    chosen = choose_thresholds(outcomes())
    assert {name: threshold.value for name, threshold in chosen.items()} == asdict(Calibration())
    assert "too few" in chosen["min_score"].how


def test_a_table_of_outcomes_decides_on_the_score(tmp_path):
    path = tmp_path / "outcomes.csv"
    rows = ["one,good,0.9,True", "one,failed,0.95,False", "one,failed,0.5,True", '"two, mirrored",failed,0.9,True']
    path.write_text("\n".join(["kind,outcome,score,gate", *rows]) + "\n")
    scores = read_outcomes(path)
    assert scores.good.tolist() == [0.9]
    assert scores.failed.tolist() == [-1.0, 0.5]
    assert choose_thresholds(outcomes(), scores)["min_score"].value == pytest.approx(0.7)
    path.write_text("kind\none\n")
    with pytest.raises(DataError, match="score"):
        read_outcomes(path)


def test_registrations_of_one_person_have_a_score_of_their_own(tmp_path):
    path = tmp_path / "outcomes.csv"
    rows = [
        "one,good,0.7,True,True",
        "one,good,0.9,True,True",
        "one,failed,0.1,False,True",
        "two,failed,0.65,True,False",
    ]
    rows += ['"one, mirrored",failed,0.9,False,True']  # its structures agree, and its mirror rejects it
    path.write_text("\n".join(["kind,outcome,score,gate,same_person", *rows]) + "\n")
    chosen = choose_thresholds(outcomes(right_stretch=[1.1, 1.4]), read_outcomes(path))
    assert chosen["min_one_person_score"].value == pytest.approx(0.4)
    assert "of one person" in chosen["min_one_person_score"].how
    assert chosen["max_stretch"].value == pytest.approx(1.44)


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_moves_move_the_brain(kind):
    corners = np.array([[x, y, z, 1.0] for x in (-60, 60) for y in (-70, 70) for z in (-50, 50)])
    move = wrong_move(kind, np.zeros(3), np.random.default_rng(1))
    assert np.linalg.norm((corners @ move.T - corners)[:, :3], axis=1).mean() > 3


def test_the_spread_of_the_released_network_is_measured_again(shared):
    root = shared("data/train/ixi").parent
    found = measure(find("anatomy"), root, thresholds=False, threads=1)
    assert found.scans == 18
    assert found.agrees
    assert np.nanmax(np.abs(found.spread_difference_mm)) < 0.01  # two decimals in the sidecar
    assert "spread_mm, largest difference" in {line[0] for line in table(found)}
