import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.batch.naming import bids, plain
from stnreg.batch.task import Settings, make_tasks
from stnreg.batch.work import run_task
from stnreg.datasets.pair_table import Pair
from stnreg.images.volume import load_volume, save_volume
from stnreg.models.card import find
from stnreg.registration.options import RegistrationOptions
from stnreg.resampling.apply import move
from stnreg.transforms.io.files import load_transform
from stnreg.transforms.io.links import load_chain

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = {"dof": 6, "refine": False, "device": "cpu", "threads": 1}


def test_a_pair_comes_out_as_register_makes_it(quick_tasks):
    (task,) = quick_tasks("one", image=True, inverse=True, qc="png")
    row = run_task(task)
    alone = stnreg.register(task.pair.fixed, task.pair.moving, dof=6, refine=False, device="cpu", threads=1)
    assert row["status"] == "passed"
    assert np.array_equal(load_transform(task.outputs.transform), alone.fixed_to_moving)
    assert np.array_equal(load_volume(task.outputs.image).array, alone.moved)
    names = {"inverse.nii.gz", "moved.nii.gz", "moved.tfm", "preview.json", "qc.png", "registration.json"}
    assert {path.name for path in task.wanted} == names == set(os.listdir(task.outputs.transform.parent))
    document = json.loads(task.outputs.document.read_text())
    assert document["fingerprint"] == row["fingerprint"]
    assert document["SpatialReference"] == str(task.pair.fixed)
    assert row["rotation_x_deg"] == alone.parameters.rotation_deg[0]


@pytest.mark.parametrize("scheme", [plain, bids])
def test_a_deformed_pair_has_its_warp_and_everything_goes_through_it(scheme, tmp_path):
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    moving, labels = folder / "sub-01_T1w.nii.gz", folder / "labels.nii"
    moving.symlink_to(EXAMPLES / "moving.nii.gz")
    image = load_volume(moving)
    save_volume(labels, (image.array > 60).astype(np.uint8) + (image.array > 120), like=image, dtype="same")
    pair = Pair(EXAMPLES / "fixed.nii.gz", moving, "one", moving_labels=labels)
    options = RegistrationOptions(**QUICK | {"dof": 12, "deform": True})
    (task,) = make_tasks([pair], tmp_path / "out", Settings(options, inverse=True, qc="png"), scheme)
    row = run_task(task)
    assert row["status"] in ("passed", "failed"), row["reasons"]
    assert all(path.is_file() for path in task.wanted)
    out = task.outputs
    files = [out.transform] if out.warp is None else [out.warp, out.transform]
    assert [path.name for path in files] == (
        ["moved_warp.nii.gz", "moved.tfm"] if scheme is plain else ["sub-01_from-T1w_to-fixed_mode-image_xfm.h5"]
    )
    chain = load_chain(files)
    assert chain.matrix is None
    for path, source, how in ((out.image, image, "linear"), (out.labels, load_volume(labels), "label")):
        expected = move(source, load_volume(pair.fixed), chain, interp=how)
        assert np.array_equal(load_volume(path, constant=True).array, expected)
    assert (row["transform"], row["warp"]) == (out.transform, out.warp)
    assert row["folds"] == 0
    assert 0.02 < row["log_jacobian_sd"] < 1
    assert json.loads(out.document.read_text())["deformation"]["log_jacobian_sd"] == row["log_jacobian_sd"]


def test_a_deformation_and_its_network_change_the_fingerprint(quick_tasks, monkeypatch):
    (without,), (deformed,) = quick_tasks("a"), quick_tasks("a", options={"deform": True})
    first = [task.fingerprint(str) for task in (without, deformed)]
    velocity = find("velocity")
    monkeypatch.setattr(
        "stnreg.batch.task.find", lambda name: replace(velocity, sha256="0") if name == "velocity" else find(name)
    )
    assert without.fingerprint(str) == first[0]
    assert len({*first, deformed.fingerprint(str)}) == 3


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
    (task,) = quick_tasks("a")
    looped = replace(task, outputs=replace(task.outputs, preview=task.pair.moving))
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
