"""A real scheduler and two worker processes on loopback, one of them killed."""

import subprocess
import sys

import pytest

from stnreg.batch.cluster import run_on_dask
from stnreg.errors import DataError

pytest.importorskip("distributed", reason="needs distributed: pip install 'stnreg[dask]'")


@pytest.fixture
def cluster(tmp_path):
    """Start a scheduler and two workers; gives the scheduler's file and the workers."""
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    parts = {
        "dask_scheduler": [*common, "--port", "0"],
        "dask_worker": [*common, "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)],
    }

    def start(part):
        line = [sys.executable, "-m", f"distributed.cli.{part}", *parts[part]]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    running = [start(part) for part in ("dask_scheduler", "dask_worker", "dask_worker")]
    yield file, running[1:]
    for process in running:
        process.kill()
        process.wait()


def address_of(file):
    import json
    import time

    for _ in range(600):
        if file.exists() and file.read_text().strip():
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")


def test_a_killed_worker_does_not_lose_the_batch(quick_tasks, cluster):
    from distributed import Client

    file, workers = cluster
    address = address_of(file)
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    found = {}
    for row in run_on_dask(quick_tasks("a", "b", "c", "no", "d"), address):
        if not found:
            workers[0].kill()
        assert row["id"] not in found
        found[row["id"]] = row["status"]
    assert found == {"a": "passed", "b": "passed", "c": "passed", "d": "passed", "no": "error"}


def test_no_scheduler_is_said_clearly(quick_tasks, monkeypatch):
    monkeypatch.setattr("stnreg.batch.cluster.TIMEOUT_S", 1)
    with pytest.raises(DataError, match="no scheduler answers"):
        list(run_on_dask(quick_tasks("a"), "tcp://127.0.0.1:9"))
