"""`stnreg calibrate`, on the released networks and a scan whose labels are what they find in it."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from stnreg import cli
from stnreg.core.structures import STRUCTURES
from stnreg.images.volume import load_volume
from stnreg.models import card
from stnreg.registration.anatomy.load import load
from stnreg.resampling.resample import resample

EXAMPLES = Path(__file__).parents[2] / "examples"


def stnreg(*arguments) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    root = tmp_path_factory.mktemp("scans")
    (root / "ixi").mkdir()
    volume = load_volume(EXAMPLES / "fixed.nii.gz")
    found = load(card.find("anatomy"), threads=1, device="cpu").encode(volume)
    classes = found.maps.argmax(0).astype(np.uint8)
    codes = np.array([s.dlmuse[0] if s.dlmuse else 0 for s in STRUCTURES], np.int16)
    labels = codes[resample(classes, found.maps_grid, volume.grid, np.eye(4), interp="nearest").astype(int)]
    image = nib.Nifti1Image.from_filename(EXAMPLES / "fixed.nii.gz")
    nib.save(nib.Nifti1Image(labels.T, image.affine), root / "ixi" / "one_labels.nii.gz")
    shutil.copy(EXAMPLES / "fixed.nii.gz", root / "ixi" / "one_T1.nii.gz")
    return root


@pytest.fixture
def network(tmp_path):
    """Return a copy of the released network without a calibration."""
    for name in ("anatomy", "anatomy-pose"):
        shutil.copy(card.folder() / f"{name}.onnx", tmp_path)
        sidecar = json.loads((card.folder() / f"{name}.json").read_text())
        for measured in ("calibration", "calibrated", "spread_mm"):
            sidecar.pop(measured, None)
        (tmp_path / f"{name}.json").write_text(json.dumps(sidecar))
    return tmp_path / "anatomy.onnx"


def read(network):
    return json.loads(network.with_suffix(".json").read_text())


def test_register_refuses_a_network_until_it_is_calibrated(network, scans, tmp_path, capsys):
    pair = (EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz")
    # Whether this pair is accepted by limits from so few scans is another matter.
    register = ("register", *pair, "-t", tmp_path / "out.tfm", "--model", network, "--threads", 1, "--no-refine")
    register += ("--on-fail", "warn")
    assert stnreg(*register) == 4
    assert "stnreg calibrate" in capsys.readouterr().err
    before = read(network)
    assert stnreg("calibrate", network, "--scans", scans, "--threads", 1) == 0
    after = read(network)
    assert set(after) - set(before) == {"spread_mm", "calibration", "calibrated"}
    assert all(after[name] == value for name, value in before.items())
    assert "calibration" in read(network.with_name("anatomy-pose.onnx"))
    assert after["calibration"]["min_score"] > 0.5
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {len(line) for line in lines[:-2]} == {4}
    assert lines[-1] == [str(network.with_suffix(".json"))]
    assert stnreg(*register) == 0


def test_check_writes_nothing_and_says_what_differs(network, scans, capsys):
    calibrate = ("calibrate", network, "--scans", scans, "--threads", 1, "--no-thresholds")
    assert stnreg(*calibrate, "--check") == 4  # nothing is there yet
    assert "spread_mm" not in read(network)
    assert stnreg(*calibrate) == 0
    assert "calibration" not in read(network), "thresholds were not asked for"
    assert stnreg(*calibrate, "--check") == 0
    changed = read(network)
    changed["spread_mm"][5] += 0.06
    network.with_suffix(".json").write_text(json.dumps(changed))
    capsys.readouterr()
    assert stnreg(*calibrate, "--check") == 4
    assert "another spread" in capsys.readouterr().err
    assert read(network) == changed


def test_what_cannot_be_calibrated_is_refused(network, scans, tmp_path, capsys):
    assert stnreg("calibrate", network, "--scans", tmp_path / "nowhere") == 4
    assert "ixi" in capsys.readouterr().err
    pair = ("calibrate", card.folder() / "affine.onnx", "--scans", scans)
    assert stnreg(*pair, "--no-thresholds") == 2
    assert "anatomy networks" in capsys.readouterr().err
    assert stnreg("calibrate", network) == 2


def test_doctor_tells_a_network_without_a_calibration(network, monkeypatch, capsys):
    monkeypatch.setattr(card, "FOLDERS", (network.parent,))
    assert stnreg("doctor") == 4
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    wrong = {line[1]: line[3] for line in lines if line[0] == "network"}
    assert "stnreg calibrate" in wrong["anatomy"]
    assert "stnreg calibrate" in wrong["anatomy-pose"]
