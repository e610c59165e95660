"""Read ahead, an image is the one that is read in time."""

import numpy as np
import pytest

from stnreg.batch.prefetch import Prefetcher, is_worth_it
from stnreg.batch.work import run_task
from stnreg.registration.register import register_pair
from stnreg.transforms.io.files import load_transform


def test_a_pair_that_was_read_ahead_comes_out_the_same(quick_tasks, monkeypatch):
    (first, second), (alone,) = quick_tasks("a", "b"), quick_tasks("c")
    run_task(alone)
    run_task(first, second)
    given = []
    monkeypatch.setattr(
        "stnreg.batch.work.register_pair", lambda f, m, *a: (given.append(m), register_pair(f, m, *a))[1]
    )
    assert run_task(second)["status"] == "passed"
    assert given[0].path == str(second.pair.moving), "the image itself, not its path"
    transforms = [load_transform(task.outputs.transform) for task in (second, alone)]
    assert np.array_equal(*transforms)


def test_a_file_that_cannot_be_prefetched_is_reported_in_its_turn(quick_tasks):
    first, second = quick_tasks("a", "nobody")
    assert run_task(first, second)["status"] == "passed"
    row = run_task(second)
    assert row["status"] == "error"
    assert "nowhere.nii.gz" in row["reasons"]


def test_another_pair_than_the_one_that_follows_is_read_afresh(quick_tasks):
    first, second = quick_tasks("a", "b")
    ahead = Prefetcher()
    ahead.begin(first)
    assert ahead.take(second) is None
    assert ahead.take(first) is None, "what was begun is forgotten"


@pytest.mark.parametrize(("device", "gpus", "expected"), [
    ("cpu", 1, False), ("auto", 0, False), ("auto", 1, True), ("cuda:1", 2, True),
])  # fmt: skip
def test_only_a_gpu_is_read_ahead_for(monkeypatch, device, gpus, expected):
    monkeypatch.setattr("stnreg.batch.prefetch.gpu_count", lambda: gpus)
    assert is_worth_it(device) is expected
