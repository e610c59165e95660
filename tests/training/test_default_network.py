"""The default network from its data to a registration, by the commands alone: train, export, calibrate, register."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from stnreg import cli
from stnreg.models.card import find


def stnreg(*arguments) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_training_data):
    return write_training_data(tmp_path_factory.mktemp("data"), 3)


@pytest.fixture(scope="module")
def networks(tmp_path_factory, data):
    """Both networks, trained for a few steps and exported, without a calibration."""
    folder = tmp_path_factory.mktemp("networks")
    shared = ("--scans", data, "--cache", folder / "packed", "--validation", 1, "--preset", "tiny", "--threads", 1)
    for name in ("anatomy-pose", "anatomy"):
        assert stnreg("train", "-o", folder / name, "--model", name, *shared, "--terms", "painted: CC0") == 0
        assert stnreg("export", folder / name / "best.ckpt", "-o", folder / f"{name}.onnx") == 0
    return folder


def test_what_is_exported_holds_no_figure_that_nobody_measured(networks):
    for name in ("anatomy-pose", "anatomy"):
        card = json.loads((networks / f"{name}.json").read_text())
        assert "spread_mm" not in card
        assert "calibration" not in card
        assert card["validation_scans"] == 1
        assert len(card["template_lps_mm"]) == len(card["volumes_mm3"]) == len(card["names"])


def test_from_painted_heads_to_a_registration(networks, data, tmp_path, capsys):
    pair = [data / "ixi" / f"IXI{k:03d}_T1.nii.gz" for k in (0, 1)]
    outputs = ("-o", tmp_path / "out.nii.gz", "--no-refine")
    register = ("register", *pair, *outputs, "--model", networks / "anatomy.onnx", "--threads", 1)
    assert stnreg(*register) == 4
    assert "stnreg calibrate" in capsys.readouterr().err
    scans = tmp_path / "scans"  # without the label maps: painting them takes longer than all the rest
    scans.mkdir()
    (scans / "ixi").symlink_to(data / "ixi")
    calibrate = ("calibrate", networks / "anatomy.onnx", "--scans", scans, "--threads", 1)
    assert stnreg(*calibrate) == 0
    card = find(str(networks / "anatomy.onnx")).card
    spread_mm = np.array(card["spread_mm"], float)
    assert np.isnan(spread_mm[0])
    assert (spread_mm[1:] > 0).all()
    assert set(card["calibrated"]["how"]) == set(card["calibration"])
    assert stnreg(*calibrate, "--check", "--no-thresholds") == 0
    assert stnreg(*register) in (0, 3)  # so little trained, it may well be rejected: what counts is that it runs
    assert (tmp_path / "out.nii.gz").exists()


def test_an_interrupted_run_goes_on_without_its_settings(networks, data):
    run = ("train", "-o", networks / "anatomy", "--resume", "--epochs", 2, "--cache", networks / "packed")
    assert stnreg(*run) == 0
    assert "8" in (networks / "anatomy" / "metrics.csv").read_text()


def test_too_few_scans_are_said(networks, data, tmp_path, capsys):
    arguments = ("--model", "anatomy", "--scans", data, "--validation", 3, "--preset", "tiny")
    assert stnreg("train", "-o", tmp_path / "run", *arguments) == 4
    assert "no scan to train on" in capsys.readouterr().err
    assert stnreg("train", "-o", tmp_path / "run2", "--model", "anatomy", "--scans", data, "--preset", "paper") == 2
