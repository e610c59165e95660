"""The limits of a velocity network: their rules on made-up figures, and the files around them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.commands.calibrate import calibrate
from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.models.card import find
from stnreg.registration.deformable.velocity import find_velocity_network
from stnreg.training.deformable.calibrate import MeasuredLimits, choose_limits, limits_table
from stnreg.training.deformable.outcomes import WRONG, Outcome, is_right, label_dice, wrong_move
from stnreg.transforms.affine import Affine

RIGHT = Outcome("a b", "registered", True, 0.5, 0.7, 0.3, 0.82, 0.86)
FAILED = Outcome("a b", "turned", False, 0.1, 0.4, 0.7, 0.3, 0.6)


def spread_of(outcome, **ranges):
    return [
        replace(outcome, **{n: float(v) for n, v in zip(ranges, row, strict=True)})
        for row in zip(*ranges.values(), strict=True)
    ]


def test_a_limit_is_the_middle_of_what_separates():
    right = spread_of(RIGHT, log_jacobian_sd=np.linspace(0.2, 0.4, 9), agreement_after=np.linspace(0.8, 0.9, 9))
    failed = spread_of(FAILED, log_jacobian_sd=np.linspace(0.6, 0.9, 7), agreement_after=np.linspace(0.5, 0.7, 7))
    between = replace(FAILED, is_right=None, log_jacobian_sd=0.35, agreement_after=0.9)
    limits = choose_limits([*right, *failed, between])
    assert limits["max_log_jacobian_sd"].value == pytest.approx(0.5)
    assert limits["min_agreement"].value == pytest.approx(0.75)
    assert "9 right and 7 failed" in limits["min_agreement"].how
    assert limits["min_agreement_before"].value == pytest.approx((0.3 + 0.82) / 2)


def test_the_agreement_before_is_asked_of_registered_affines_alone():
    mended = replace(RIGHT, kind="turned", agreement_before=0.2)  # right, though the affine was wrong
    limits = choose_limits([RIGHT, mended, FAILED])
    assert limits["min_agreement_before"].value == pytest.approx((0.3 + 0.82) / 2)
    assert choose_limits([mended, FAILED])["min_agreement_before"].value == 0.0


def test_a_figure_that_tells_nothing_apart_bounds_what_right_ones_come_near():
    right = spread_of(RIGHT, log_jacobian_sd=np.full(8, 0.3), agreement_before=np.full(8, 0.87))
    failed = spread_of(FAILED, log_jacobian_sd=np.full(8, 0.3), agreement_after=np.full(8, 0.86))
    limits = choose_limits([*right, *failed])
    assert limits["max_log_jacobian_sd"].value == pytest.approx(0.45)
    assert limits["min_agreement"].value == pytest.approx(0.79)
    assert limits["min_gain"].value == pytest.approx(-0.015)
    assert "does not tell apart" in limits["min_gain"].how
    with pytest.raises(DataError, match="no deformation is right"):
        choose_limits(failed)


def test_limits_go_into_the_sidecar_and_nothing_else_changes(tmp_path):
    for name in ("velocity.onnx", "velocity.json", "synthesis.onnx", "synthesis.json"):
        shutil.copy(find("velocity").path.with_name(name), tmp_path)
    sidecar = tmp_path / "velocity.json"
    before = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({n: v for n, v in before.items() if n not in ("calibration", "calibrated")}))
    network = str(tmp_path / "velocity.onnx")
    with pytest.raises(DataError, match="stnreg calibrate"):
        find_velocity_network(network, 1, "cpu")
    outcomes = [RIGHT, FAILED]
    found = MeasuredLimits(find(network), outcomes, choose_limits(outcomes))
    assert not found.agrees
    assert {name for name, *_ in limits_table(found)} >= {"max_log_jacobian_sd", "min_agreement", "min_gain"}
    assert found.write() == sidecar
    after = json.loads(sidecar.read_text())
    assert after["calibrated"]["pairs"] == 1
    assert {n: v for n, v in after.items() if not n.startswith("calib")} == {
        n: v for n, v in before.items() if not n.startswith("calib")
    }
    assert replace(found, weights=find(network)).agrees
    assert find_velocity_network(network, 1, "cpu").limits.min_agreement == found.limits["min_agreement"].value


def test_wrong_moves_are_as_far_as_is_said():
    rng = np.random.default_rng(0)
    middle = np.array([10.0, -20.0, 30.0])
    for _ in range(20):
        shifted, turned, scaled = (wrong_move(kind, middle, rng) for kind in WRONG)
        assert 6 <= np.linalg.norm(apply_affine(shifted, middle) - middle) <= 25
        angle = np.degrees(np.arccos((np.trace(turned[:3, :3]) - 1) / 2))
        assert 4 <= angle <= 60
        assert np.allclose(apply_affine(turned, middle), middle)
        sizes = np.linalg.svd(scaled[:3, :3])[1]
        assert (np.maximum(sizes, 1 / sizes) >= 1.149).all()


def test_label_dice_of_a_map_and_itself():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:12, 4:12, 4:12], labels[13:18, 4:12, 4:12], labels[0, 0, 0] = 1, 2, 3
    volume = Volume(labels, Grid.cube(np.zeros(3), 20, 2.0))
    shift = np.eye(4)
    assert label_dice(volume, volume, Affine(shift)) == 1
    shift[0, 3] = 8.0
    assert label_dice(volume, volume, Affine(shift)) == pytest.approx(0.5)


def test_a_deformation_is_judged_beside_that_from_the_registered_affine():
    assert [is_right(dice, 0.7) for dice in (0.72, 0.68, 0.66, 0.64)] == [True, True, None, False]


def test_options_of_the_other_kind_are_refused(tmp_path):
    app = typer.Typer()
    app.command()(calibrate)

    def run(model, *arguments):
        path = find(model).path
        return CliRunner().invoke(app, [str(path), "--scans", str(tmp_path), *arguments], catch_exceptions=False)

    for arguments in (("--cache", str(tmp_path)), ("--outcomes", "a.csv"), ("--no-thresholds",)):
        with pytest.raises(UsageProblem, match="for anatomy networks"):
            run("velocity", *arguments)
    with pytest.raises(UsageProblem, match="for velocity and pair networks"):
        run("anatomy", "--pairs", "2")
    with pytest.raises(DataError, match="ixi"):
        run("velocity")
