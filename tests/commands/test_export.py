"""Exit statuses of `stnreg export`; what it writes is tested in test_train.py and tests/training/test_export.py."""

import sys

import pytest

from stnreg import cli


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["export", *map(str, arguments)])
    return end.value.code


def test_a_missing_checkpoint_is_4_and_named(tmp_path, capsys):
    pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
    assert run(tmp_path / "absent.ckpt", "-o", tmp_path / "net.onnx") == 4
    assert "absent.ckpt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_an_output_it_is_wrong_usage(tmp_path):
    assert run(tmp_path / "best.ckpt") == 2


def test_without_torch_the_extra_is_asked_for_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(tmp_path / "best.ckpt", "-o", tmp_path / "net.onnx") != 0
    assert "stnreg[train]" in capsys.readouterr().err
