import json

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
    assert all(path.is_file() for path in task.wanted)
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


def test_a_defect_ends_one_pair_alone(quick_tasks, monkeypatch):
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


def test_what_a_killed_worker_left_is_swept_away(quick_tasks):
    (task,) = quick_tasks("a")
    task.outputs.transform.parent.mkdir(parents=True)
    left = task.outputs.transform.with_name(".moved.tfm.123.part")
    left.write_text("half")
    run_task(task)
    assert not left.exists()
