import json
import os
import signal
import subprocess
import sys

import numpy as np

import stnreg
from stnreg.batch.work import run_task
from stnreg.images.volume import load_volume
from stnreg.transforms.io.files import load_transform


def test_a_pair_comes_out_as_register_makes_it(quick_tasks):
    (task,) = quick_tasks("one", image=True, inverse=True, qc="png")
    row = run_task(task)
    alone = stnreg.register(task.pair.fixed, task.pair.moving, dof=6, refine=False, device="cpu", threads=1)
    assert row["status"] == "passed"
    assert np.array_equal(load_transform(task.outputs.transform), alone.fixed_to_moving)
    assert np.array_equal(load_volume(task.outputs.image).array, alone.moved)
    names = {"inverse.nii.gz", "moved.nii.gz", "moved.tfm", "qc.png", "registration.json", "thumbnail.webp"}
    assert {path.name for path in task.wanted} == names == set(os.listdir(task.outputs.transform.parent))
    document = json.loads(task.outputs.document.read_text())
    assert document["fingerprint"] == row["fingerprint"]
    assert document["SpatialReference"] == str(task.pair.fixed)
    assert row["rotation_x_deg"] == alone.parameters.rotation_deg[0]


def test_the_fixed_image_of_a_second_pair_is_not_encoded_again(quick_tasks, monkeypatch):
    first, second = quick_tasks("a", "b")
    run_task(first)
    monkeypatch.setattr("stnreg.batch.work.encode", lambda *a, **k: 1 / 0)
    assert run_task(second)["status"] == "passed"


def test_what_cannot_be_read_is_recorded_with_its_file(quick_tasks):
    (task,) = quick_tasks("nobody")
    row = run_task(task)
    assert row["status"] == "error"
    assert "nowhere.nii.gz" in row["reasons"]
    assert row["id"] == "nobody"


def test_an_internal_error_affects_one_pair_only(quick_tasks, monkeypatch):
    (task,) = quick_tasks("a")
    monkeypatch.setattr("stnreg.batch.work.register_pair", lambda *a, **k: 1 / 0)
    row = run_task(task)
    assert row["status"] == "error"
    assert "ZeroDivisionError" in row["reasons"]


def test_an_output_that_is_an_input_is_refused(quick_tasks):
    from dataclasses import replace

    (task,) = quick_tasks("a")
    looped = replace(task, outputs=replace(task.outputs, thumbnail=task.pair.moving))
    before = task.pair.moving.read_bytes()
    assert "is an input too" in run_task(looped)["reasons"]
    assert task.pair.moving.read_bytes() == before


def killed_while_writing(path):
    """Let a process die in the middle of an output."""
    code = f"""
import os, signal
from stnreg.core.files import open_atomic
with open_atomic({str(path)!r}) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    before = set(os.listdir(path.parent))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = set(os.listdir(path.parent)) - before
    return path.with_name(left)


def test_what_a_killed_worker_left_is_swept_away_and_nothing_else(quick_tasks, monkeypatch):
    (task,) = quick_tasks("a")
    transform = task.outputs.transform
    transform.parent.mkdir(parents=True)
    left = killed_while_writing(transform)
    others = [killed_while_writing(transform.with_name(f"moved.tfm{more}")) for more in ("1", ".bak", ".part")]
    # A pair that fails writes nothing, and so renames nothing: what goes was swept.
    monkeypatch.setattr("stnreg.batch.work.register_pair", lambda *a, **k: 1 / 0)
    assert "ZeroDivisionError" in run_task(task)["reasons"]
    assert not left.exists()
    assert all(other.exists() for other in others)
