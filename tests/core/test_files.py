"""Outputs appear whole or not at all."""

import errno
import os
import zipfile
from pathlib import Path

import pytest

from stnreg.core.files import check_input, check_output, open_atomic, sweep_partial, write_atomic
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


def test_a_stream_may_go_back_and_ends_up_whole_or_not_at_all(tmp_path: Path) -> None:
    with open_atomic(tmp_path / "a.zip") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("one", b"1")  # goes back to its beginning to write its size
        assert not (tmp_path / "a.zip").exists()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
    whole = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(ZeroDivisionError), open_atomic(tmp_path / "a.zip") as stream:
        stream.write(bytes([stream.write(b"half") // 0]))
    with pytest.raises(DataError, match=r"a\.zip: cannot be written \(No space"), open_atomic(tmp_path / "a.zip"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "a.zip").read_bytes() == whole
    assert os.listdir(tmp_path) == ["a.zip"]


def test_only_what_nobody_writes_is_swept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "[a]")
    with open_atomic(tmp_path / "[a]") as first, open_atomic(tmp_path / "[a]") as second:
        first.write(b"1")
        second.write(b"2")
        places = set(os.listdir(tmp_path)) - {"link"}
        assert len(places) == 2
        sweep_partial(tmp_path / "link")
        assert set(os.listdir(tmp_path)) == {"link", *places}
    for name in places:  # as two killed runs leave them
        (tmp_path / name).write_bytes(b"half")
    sweep_partial(tmp_path / "link")
    assert sorted(os.listdir(tmp_path)) == ["[a]", "link"]


def test_a_device_is_written_to(tmp_path: Path) -> None:
    device = os.stat("/dev/null")
    write_atomic("/dev/null", b"x")
    assert os.path.samestat(os.stat("/dev/null"), device)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(tmp_path / "pipe", b"to a ", b"reader")
    assert os.read(reader, 100) == b"to a reader"
    os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]


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


def test_what_was_not_fetched_says_how_to_fetch_it(tmp_path: Path) -> None:
    link, lost = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    link.symlink_to(".git/annex/objects/x/y/MD5E-s1--0.nii.gz")
    lost.symlink_to("nowhere.nii.gz")
    pointer, large = tmp_path / "c.nii.gz", tmp_path / "d.nii.gz"
    pointer.write_text("/annex/objects/MD5E-s1--0.nii.gz\n")
    large.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    for path, remedy in ((link, "datalad get"), (pointer, "datalad get"), (large, "git lfs pull")):
        with pytest.raises(DataError, match=rf"is not fetched.*{remedy}"):
            check_input(path)
    with pytest.raises(DataError, match="is a link to nowhere"):
        check_input(lost)
