import json

import pytest

from stnreg.errors import DataError
from stnreg.models import card as weights


def test_a_file_is_found_with_its_sidecar(network):
    found = weights.find(str(network()))
    assert (found.name, found.kind, found.size, found.spacing_mm) == ("shift", "pair", 16, 16.0)
    assert weights.read_checked(found) == found.path.read_bytes()


def test_a_name_is_found_in_the_folder(network, monkeypatch):
    path = network()
    monkeypatch.setattr(weights, "FOLDERS", (path.parent / "none", path.parent))
    assert weights.names() == ["shift"]
    assert weights.find("shift").path == path
    with pytest.raises(DataError, match="there are shift"):
        weights.find("drift")


def test_no_folder_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path / "none",))
    with pytest.raises(DataError, match="no trained networks"):
        weights.names()


def test_a_changed_file_is_refused(network):
    path = network()
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(DataError, match="damaged or exchanged"):
        weights.read_checked(weights.find(str(path)))


def test_what_is_missing_is_named(network, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        weights.find(str(tmp_path / "none.onnx"))
    path = network()
    card = json.loads(path.with_suffix(".json").read_text())
    del card["spacing_mm"]
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="spacing_mm"):
        weights.find(str(path))
    path.with_suffix(".json").unlink()
    with pytest.raises(DataError, match="belongs beside"):
        weights.find(str(path))


def test_the_networks_that_come_with_stnreg_are_the_tested_ones():
    for name in weights.names():
        assert weights.read_checked(weights.find(name))


def test_an_exchanged_pose_network_is_another_identity(tmp_path):
    for name in ("anatomy", "anatomy-pose"):
        for suffix in (".onnx", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((weights.folder() / f"{name}{suffix}").read_bytes())
    copied = weights.find(str(tmp_path / "anatomy.onnx"))
    assert copied.identity == weights.find("anatomy").identity
    sidecar = tmp_path / "anatomy-pose.json"
    sidecar.write_text(sidecar.read_text().replace(copied.pose.sha256, "0" * 64))
    assert copied.identity != weights.find("anatomy").identity
    assert weights.find("separate").identity == weights.find("separate").sha256
