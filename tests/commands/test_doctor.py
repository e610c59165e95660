"""`stnreg doctor`: one line per thing, and a status that a script can act on."""

import json
import shutil
from pathlib import Path

import pytest

import stnreg
from stnreg import __version__
from stnreg.cli import main
from stnreg.models import card as weights
from stnreg.reports import environment


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main(["doctor", *map(str, arguments)])
    return int(done.value.code or 0)


@pytest.fixture
def found(capsys):
    """Return what doctor finds, by (group, name)."""

    def examine():
        run("--json", "-")
        findings = json.loads(capsys.readouterr().out)["findings"]
        return {(one["group"], one["name"]): one for one in findings}

    return examine


def test_off_a_terminal_each_line_has_four_cells(capsys):
    assert run() == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {len(line) for line in lines} == {4}
    assert {line[2] for line in lines} <= {"ok", "missing"}
    assert ["system", "stnreg"] in [line[:2] for line in lines]


def test_everything_that_a_result_depends_on_is_named(found, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    findings = found()
    assert findings["system", "stnreg"]["detail"] == f"{__version__}, {Path(stnreg.__file__).parent}"
    assert {name for group, name in findings if group == "network"} == set(weights.shipped())
    for name in weights.shipped():
        assert findings["network", name]["detail"] == f"sha256 {weights.find(name).sha256}"
    assert findings["device", "threads"]["detail"] == "3, by OMP_NUM_THREADS"
    assert findings["device", "runs on"]["detail"].endswith("ExecutionProvider")
    assert {name for group, name in findings if group == "tool"} == set(environment.HOW_TO_GET)


def test_a_damaged_network_is_wrong_and_the_status_is_4(found, monkeypatch, tmp_path, capsys):
    for suffix in ("onnx", "json"):
        shutil.copy(weights.folder() / f"affine.{suffix}", tmp_path)
    with open(tmp_path / "affine.onnx", "ab") as stream:
        stream.write(b"x")
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    assert run() == 4
    assert "SHA-256" in capsys.readouterr().out
    assert found()["network", "affine"]["status"] == "wrong"


def test_two_onnxruntimes_are_wrong(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda package: "1.0")
    wrong = [one for one in environment.examine() if one.status == "wrong"]
    assert [one.name for one in wrong] == ["onnxruntime"]
    assert "overwrite" in wrong[0].detail


def test_a_tool_on_the_path_is_found(found, monkeypatch, tmp_path):
    flirt = tmp_path / "bin" / "flirt"
    flirt.parent.mkdir()
    flirt.write_text("#!/bin/sh\n")
    flirt.chmod(0o755)
    monkeypatch.setenv("FSLDIR", str(tmp_path))
    assert found()["tool", "flirt"]["detail"] == str(flirt)
    monkeypatch.delenv("FSLDIR")
    monkeypatch.setenv("PATH", "")
    missing = found()["tool", "flirt"]
    assert missing["status"] == "missing"
    assert "FSL" in missing["detail"]
