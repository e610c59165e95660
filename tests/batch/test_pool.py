"""Real processes, killed for real."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

from stnreg.batch.pool import _Queue, default_jobs, free_memory, run_local


def kill_workers(times: int) -> threading.Thread:
    """Kill the next `times` workers as soon as they are there."""

    def kill() -> None:
        killed = set()
        while len(killed) < times:
            for child in multiprocessing.active_children():
                if child.pid not in killed and child.pid is not None:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.add(child.pid)
                    break
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_pair_whose_worker_is_killed_is_tried_once_more(quick_tasks):
    killer = kill_workers(1)
    rows = {row["id"]: row for row in run_local(quick_tasks("a", "b", "no"), jobs=1, threads=1)}
    killer.join(5)
    assert {name: row["status"] for name, row in rows.items()} == {"a": "passed", "b": "passed", "no": "error"}
    assert rows["a"]["tries"] == 2
    assert rows["b"]["tries"] == 1
    assert not multiprocessing.active_children()


def test_what_a_killed_worker_had_read_ahead_is_not_lost_with_it(quick_tasks):
    killer = kill_workers(1)
    rows = {
        row["id"]: row["status"] for row in run_local(quick_tasks("a", "b", "no"), jobs=1, threads=1, read_ahead=True)
    }
    killer.join(5)
    assert rows == {"a": "passed", "b": "passed", "no": "error"}


def test_a_pair_that_kills_its_workers_is_recorded_as_lost(quick_tasks):
    killer = kill_workers(2)
    rows = list(run_local(quick_tasks("a"), jobs=1, threads=1))
    killer.join(5)
    assert [row["status"] for row in rows] == ["lost"]
    assert "signal 9" in rows[0]["reasons"]
    assert rows[0]["tries"] == 2


def test_workers_end_with_the_one_who_asked(quick_tasks):
    rows = run_local(quick_tasks("no1", "no2", "no3"), jobs=2, threads=1)
    next(rows)
    rows.close()
    assert not multiprocessing.active_children()


def test_a_worker_stays_with_the_fixed_image_it_has_encoded(quick_tasks):
    from dataclasses import replace
    from pathlib import Path

    tasks = [
        replace(task, pair=replace(task.pair, fixed=Path(fixed)))
        for task, fixed in zip(quick_tasks("1", "2", "3", "4", "5"), "ABABA", strict=True)
    ]
    queue = _Queue(tasks)
    taken, fixed = [], None
    while (task := queue.take(fixed)) is not None:
        fixed = task.pair.fixed
        taken.append(task.pair.id)
    assert taken == ["1", "3", "5", "2", "4"]
    assert _Queue(tasks).take(None).pair.id == "1"
    two = _Queue(tasks)
    assert [two.take(None).pair.id, two.take(None).pair.id] == ["1", "2"], "a second worker begins another group"


def test_jobs_fit_cores_and_memory(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr("stnreg.batch.pool.free_memory", lambda: 3_000_000_000)
    assert default_jobs(1) == 3
    assert default_jobs(4) == 2
    assert default_jobs(1, memory=1_400_000_000) == 2
    monkeypatch.setattr("stnreg.batch.pool.free_memory", lambda: 1)
    assert default_jobs(1) == 1
    monkeypatch.undo()
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        (total_kb,) = (line.split()[1] for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:"))
        assert 10_000_000 < free_memory() < int(total_kb) * 1024
    for text, free in (("MemTotal: 8 kB\nMemAvailable:   3 kB\n", 3 * 1024), ("MemTotal: 8 kB\n", None)):
        with monkeypatch.context() as replaced:
            replaced.setattr("stnreg.batch.pool.Path.read_text", lambda path, text=text: text)
            found = free_memory()
        assert found == free
