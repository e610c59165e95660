import csv
import shutil
import time

import pytest

from stnreg.batch.run import RESULTS, run_batch
from stnreg.batch.task import digest_file
from stnreg.batch.work import failure_row


@pytest.fixture
def in_this_process(monkeypatch):
    """Pretend to do the work, and note for which pairs."""
    done = []

    def work(tasks, jobs, threads):
        for task in tasks:
            done.append(task.pair.id)
            if not task.pair.moving.exists():
                yield failure_row(task, "error", "there is no such file")
                continue
            for path in task.wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("done")
            fingerprint = task.fingerprint(digest_file)
            yield {"id": task.pair.id, "status": "passed", "fingerprint": fingerprint, "total_s": time.perf_counter()}

    monkeypatch.setattr("stnreg.batch.run.run_local", work)
    return done


def run(tasks, tmp_path, **more):
    return run_batch(tasks, tmp_path / "out", jobs=1, threads=1, **more)


def table_of(tmp_path):
    """Return the table without what tells of the run."""
    with open(tmp_path / "out" / RESULTS, newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if not k.endswith("_s") and k != "tries"} for row in rows]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_table(quick_tasks, tmp_path, in_this_process):
    tasks = quick_tasks("a", "no", "b", "c")
    run(tasks, tmp_path)
    whole = table_of(tmp_path)
    assert [row["status"] for row in whole] == ["passed", "error", "passed", "passed"]
    shutil.rmtree(tmp_path / "out")
    in_this_process.clear()

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tasks, tmp_path, show=stop)
    assert len(table_of(tmp_path)) == 2
    run(tasks, tmp_path, resume=True)
    assert in_this_process == ["a", "no", "no", "b", "c"], "what failed is tried again, what is done is not"
    assert table_of(tmp_path) == whole


def test_resume_redoes_what_is_missing_or_changed_by_content(quick_tasks, tmp_path, in_this_process):
    from dataclasses import replace

    moving = tmp_path / "moving.nii.gz"
    tasks = quick_tasks("a", "b", "c")
    shutil.copy(tasks[2].pair.moving, moving)
    tasks[2] = replace(tasks[2], pair=replace(tasks[2].pair, moving=moving))
    run(tasks, tmp_path)
    in_this_process.clear()
    run(tasks, tmp_path, resume=True)
    moving.touch()
    run(tasks, tmp_path, resume=True)
    assert in_this_process == [], "nothing has changed but a date"
    tasks[1].outputs.preview.unlink()
    shutil.copy(tasks[2].pair.fixed, moving)
    run(tasks, tmp_path, resume=True)
    assert in_this_process == ["b", "c"]


@pytest.mark.parametrize(
    ("changed", "redone"),
    [({"dof": 7}, True), ({"min_score": 0.1}, True), ({"threads": 2}, False), ({"device": "auto"}, False)],
)
def test_other_options_are_another_result_other_machines_are_not(
    quick_tasks, tmp_path, in_this_process, changed, redone
):
    run(quick_tasks("a"), tmp_path)
    in_this_process.clear()
    run(quick_tasks("a", options=changed), tmp_path, resume=True)
    assert bool(in_this_process) == redone


def test_without_resume_all_is_done_again(quick_tasks, tmp_path, in_this_process):
    for _ in range(2):
        rows = run(quick_tasks("a"), tmp_path)
    assert in_this_process == ["a", "a"]
    assert [row["id"] for row in rows] == ["a"]
