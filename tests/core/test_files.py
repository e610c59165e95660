"""Outputs appear whole or not at all."""

import os
from pathlib import Path

import pytest

from stnreg.core.files import check_input, check_output, write_atomic
from stnreg.errors import DataError, UsageProblem


def test_an_output_is_whole_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", b"new", b"er")
    assert (tmp_path / "real").read_bytes() == b"newer"
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomic(tmp_path / "a", b"new", "text")  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_device_is_written_to(tmp_path: Path) -> None:
    write_atomic("/dev/null", b"x")


def test_an_output_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UsageProblem, match="input"):
        check_output(tmp_path / "a", [tmp_path / "b"])
    assert check_output(tmp_path / "c", [tmp_path / "a"]) == tmp_path / "c"
    with pytest.raises(DataError, match="folder"):
        check_output(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        check_output(tmp_path / "none" / "c")


def test_inputs_are_there_and_not_empty(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="empty"):
        check_input(tmp_path / "a")
    with pytest.raises(DataError, match="no such file"):
        check_input(tmp_path / "a" / "b")
