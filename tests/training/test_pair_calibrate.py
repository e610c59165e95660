from pathlib import Path

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.models.calibration import PairCalibration
from stnreg.models.card import find
from stnreg.registration.by_pair_network import PairNetworkMethod
from stnreg.simulation.build import build_recipe
from stnreg.simulation.dataset import simulate
from stnreg.training.pair_calibrate import (
    MeasuredPairLimits,
    choose_pair_limits,
    is_accepted,
    pair_limits_table,
)
from stnreg.training.pair_outcomes import PairOutcome, cases_of, outcomes_of

RIGHT = [PairOutcome(f"r{k}", False, True, 1.0, 0.4 + k / 100, 0.9, 1.0 + k / 10) for k in range(10)]
FAILED = [PairOutcome(f"f{k}", False, False, 50.0, k / 50, 0.95, 40.0) for k in range(10)]


def test_the_limits_tell_right_from_failed():
    limits = {name: one.value for name, one in choose_pair_limits(RIGHT + FAILED).items()}
    assert 0.18 < limits["min_correlation"] <= 0.4
    assert limits["min_overlap"] == pytest.approx(0.72)
    assert 1.9 < limits["max_there_and_back_mm"] < 4
    calibration = PairCalibration(**limits)
    assert all(is_accepted(one, calibration) for one in RIGHT)
    assert not any(is_accepted(one, calibration) for one in FAILED)


def test_wrong_estimates_say_nothing_of_there_and_back():
    misled = [PairOutcome("m", True, True, 1.0, 0.5, 0.9, 150.0)] * 5
    with_them = choose_pair_limits(RIGHT + FAILED + misled)["max_there_and_back_mm"].value
    assert with_them == choose_pair_limits(RIGHT + FAILED)["max_there_and_back_mm"].value


@pytest.mark.parametrize("outcomes", [RIGHT, FAILED, []])
def test_both_kinds_are_needed(outcomes):
    with pytest.raises(DataError, match="calibrating needs both"):
        choose_pair_limits(outcomes)


def test_cubes_are_registered_and_judged_by_their_truth(tmp_path):
    counts = (0, 2, 0)
    table = simulate(build_recipe("cubes", counts, sizes=[64]), tmp_path, counts, seed=2, jobs=1)
    network = PairNetworkMethod().open(find("separate-synthetic"), 1, "cpu", 2)
    cases = cases_of(Path(table), 1)
    assert len(cases) == 1
    assert cases[0].failed_mm == pytest.approx(2 * cases[0].right_mm)
    found = outcomes_of(network, cases, 1)
    own = next(one for one in found if not one.misled)
    assert own.is_right
    assert own.error_mm < 1
    assert own.correlation > 0.7


def test_a_table_without_truths_is_refused(tmp_path):
    (tmp_path / "PAIRS.csv").write_text("fixed,moving\na.nii.gz,b.nii.gz\n")
    with pytest.raises(DataError, match="no pair has a truth"):
        cases_of(tmp_path / "PAIRS.csv", None)


def test_the_sidecar_keeps_the_rest_and_is_read_back(network):
    path = network()
    weights = find(str(path))
    found = MeasuredPairLimits(weights, RIGHT + FAILED, choose_pair_limits(RIGHT + FAILED))
    assert not found.agrees
    found.write()
    again = find(str(path))
    assert {name: again.card[name] for name in weights.card} == weights.card
    limits = PairCalibration.from_card(again.card, again.path)
    assert limits.min_correlation == found.limits["min_correlation"].value
    assert MeasuredPairLimits(again, [], found.limits).agrees
    lines = {line[0]: line[1] for line in pair_limits_table(found)}
    assert lines["accepted, right"] == 10
    assert lines["accepted, failed"] == 0
    assert np.isfinite(lines["correlation, right"])
