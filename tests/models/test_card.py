import json
from pathlib import Path

import pytest
import typer

import stnreg
from stnreg import cli
from stnreg.errors import DataError
from stnreg.models import card as weights

EXAMPLES = Path(__file__).parents[2] / "examples"


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
    assert offered_models() == []


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
    assert {"affine", "anatomy", "anatomy-pose", "separate"} <= set(weights.shipped())
    for name in weights.shipped():
        assert weights.read_checked(weights.find(name))


def test_only_what_register_takes_is_named():
    assert {"affine", "anatomy", "separate"} <= set(weights.names())
    assert "anatomy-pose" not in weights.names()
    with pytest.raises(DataError) as refused:
        weights.find("drift")
    assert "anatomy-pose" not in str(refused.value)
    for name in weights.names():
        result = stnreg.register(EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz", model=name, refine=False)
        assert result.model.name == name


@pytest.fixture
def broken_folder(tmp_path, monkeypatch):
    """A folder of networks: one is whole, the sidecars of the others lack something, each in its own way."""
    for name in ("whole", "none", "lame", "listed", "unkind", "poseless", "strange"):
        (tmp_path / f"{name}.onnx").write_bytes(b"network")
    card = {"name": "whole", "kind": "pair", "sha256": "", "size": 16, "spacing_mm": 16.0, "normalise": "minmax"}
    for name, content in (
        ("whole", card),
        ("listed", [card]),
        ("unkind", {key: value for key, value in card.items() if key != "kind"}),
        ("poseless", card | {"kind": "anatomy", "pose": "gone"}),
        ("strange", card | {"kind": "mystery"}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "lame.json").write_bytes(b'{"name": "\xff')
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    return tmp_path


def test_a_broken_sidecar_takes_one_network_away_and_breaks_no_completion(broken_folder):
    assert len(weights.shipped()) == 7
    assert weights.names() == ["whole"]
    with pytest.raises(DataError, match="there are whole, or give"):
        weights.find("drift")
    assert offered_models() == ["whole"]
    (broken_folder / "whole.json").unlink()
    assert offered_models() == []
    with pytest.raises(DataError, match="there are none, or give"):
        weights.find("drift")


@pytest.mark.parametrize("verb", ["register", "batch"])
def test_the_shell_is_offered_what_register_takes(verb):
    assert offered_models(verb) == weights.names()


def offered_models(verb="register"):
    group = typer.main.get_command(cli.app)
    command = group.get_command(group.context_class(group, info_name="stnreg"), verb)
    (model,) = [parameter for parameter in command.params if parameter.name == "model"]
    return [item.value for item in model.shell_complete(command.context_class(command), "")]


def test_an_exchanged_pose_network_is_another_identity(tmp_path):
    for name in ("anatomy", "anatomy-pose"):
        for suffix in (".onnx", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((weights.folder() / f"{name}{suffix}").read_bytes())
    copied = weights.find(str(tmp_path / "anatomy.onnx"))
    assert copied.identity == weights.find("anatomy").identity
    sidecar = tmp_path / "anatomy-pose.json"
    sidecar.write_text(sidecar.read_text().replace(copied.pose.sha256, "0" * 64))
    assert copied.identity != weights.find("anatomy").identity


def test_a_last_pass_belongs_to_its_network_and_is_none_itself(network, monkeypatch):
    last = network(name="shift-last", kind="pair-last", size=24)
    path = network(last="shift-last")
    found = weights.find(str(path))
    assert (found.last.kind, found.last.size) == ("pair-last", 24)
    assert found.identity == f"{found.sha256}+{found.last.sha256}"
    assert weights.find(str(last)).identity == weights.find(str(last)).sha256
    monkeypatch.setattr(weights, "FOLDERS", (path.parent,))
    assert weights.names() == ["shift"]
    assert weights.shipped() == ["shift", "shift-last"]
