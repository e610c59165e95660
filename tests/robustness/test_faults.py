"""What happens to a run from outside: full disks, no permission, signals, two runs at once. Never half a file."""

import contextlib
import fcntl
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from stnreg.core.files import check_output, write_atomic
from stnreg.errors import DataError
from stnreg.images.volume import load_volume
from tests.robustness import interruptions

LINE = ["small.nii", "-r", "small.nii", "-t", "ras:move.ras", "-o", "out.nii", "--threads", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Hold a small image, a transform and an output of an earlier day, and work there."""
    ramp = np.arange(30 * 31 * 32, dtype=np.float32).reshape(30, 31, 32)
    nibabel.save(nibabel.Nifti1Image(ramp, np.eye(4)), tmp_path / "small.nii")
    (tmp_path / "move.ras").write_text("1 0 0 1.5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    (tmp_path / "out.nii").write_bytes(b"of an earlier day")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*arguments, **options):
    command = [sys.executable, "-m", "stnreg", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def names(folder):
    return sorted(os.listdir(folder))


def test_a_full_disk_leaves_the_old_output(folder):
    before = names(folder)
    done = start("apply-transform", *LINE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)))
    assert done.returncode == 4
    assert done.stderr == "stnreg: out.nii: cannot be written (File too large).\n"
    assert (folder / "out.nii").read_bytes() == b"of an earlier day"
    assert names(folder) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which is not here")
def test_a_full_device_is_named(folder):
    (folder / "out.nii").unlink()
    (folder / "out.nii").symlink_to("/dev/full")
    done = start("apply-transform", *LINE)
    assert (done.returncode, done.stderr) == (4, "stnreg: out.nii: cannot be written (No space left on device).\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "stnreg", "baseline", "--print-recipe"], stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "stnreg: standard output: No space left on device\n")


def test_no_permission_is_reported_before_any_work(folder, monkeypatch):
    # The one that runs this may be root, who may do anything.
    denied = {folder}
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in denied and access(path, mode))
    with pytest.raises(DataError, match=r"new\.nii: cannot be written \(permission denied"):
        check_output(folder / "new.nii")
    denied = {folder / "out.nii"}
    with pytest.raises(DataError, match=r"out\.nii: is there already and may not be overwritten"):
        check_output(folder / "out.nii")
    denied = {folder / "small.nii"}
    with pytest.raises(DataError, match=r"small\.nii: cannot be read \(permission denied\)"):
        load_volume(folder / "small.nii")


def test_a_dangling_link_is_reported_before_any_work(folder):
    (folder / "link.nii").symlink_to(folder / "none" / "real.nii")
    with pytest.raises(DataError, match="no folder"):
        check_output(folder / "link.nii")
    with pytest.raises(DataError, match="long"):
        check_output(folder / ("a" * 300 + ".nii"))
    write_atomic(folder / ("a" * 250 + ".nii"), b"x")
    assert not [name for name in names(folder) if name.endswith(".part")]


def test_a_pipe_is_no_image(folder):
    os.mkfifo(folder / "pipe.nii")
    with pytest.raises(DataError, match="pipe or a device"):
        load_volume(folder / "pipe.nii")


def test_runs_on_one_output_both_end_well(folder):
    command = [sys.executable, "-m", "stnreg", "apply-transform", *LINE]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    first = (folder / "out.nii").read_bytes()
    assert start("apply-transform", *LINE).returncode == 0
    assert (folder / "out.nii").read_bytes() == first
    assert names(folder) == ["move.ras", "out.nii", "small.nii"]


def test_threads_on_one_output_leave_one_whole_file(tmp_path):
    contents = [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    threads = [threading.Thread(target=write_atomic, args=(tmp_path / "a", content)) for content in contents * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() in contents
    assert names(tmp_path) == ["a"]


def test_what_a_killed_run_left_goes_and_what_a_living_one_holds_stays(tmp_path):
    (tmp_path / ".a.part").write_bytes(b"left by a run that was killed, and longer than what comes")
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]
    with open(tmp_path / ".a.part", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(b"half of it")
        held.flush()
        write_atomic(tmp_path / "a", b"newer")
        assert (tmp_path / ".a.part").read_bytes() == b"half of it"
    assert (tmp_path / "a").read_bytes() == b"newer"


def test_ended_at_any_moment_nothing_is_partial(tmp_path):
    for name in ("inputs", "outputs"):
        (tmp_path / name).mkdir()
    counts, faults = interruptions.run(interruptions.apply_example(tmp_path / "inputs"), 4, tmp_path / "outputs")
    assert not faults
    assert sum(counts.values()) == 4


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz"])
def test_memory_follows_what_is_in_a_file_and_not_what_it_promises(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 2**15, (60, 100, 100)).astype(np.int16)
    path = tmp_path / f"a{suffix}"
    kind = nibabel.MGHImage if suffix == ".mgz" else nibabel.Nifti1Image
    nibabel.save(kind(noise, np.eye(4)), path)
    import gzip

    content = gzip.decompress(path.read_bytes())
    header = kind.header_class(content[: kind.header_class.template_dtype.itemsize], check=False)
    header.set_data_shape((600, 700, 800))  # 672 MB, of which there is one
    path.write_bytes(gzip.compress(header.binaryblock + content[len(header.binaryblock) :]))
    tracemalloc.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(tracemalloc.stop)
        with pytest.raises(DataError, match="cut short"):
            load_volume(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
