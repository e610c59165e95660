import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import UsageProblem  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.data import save_scans  # noqa: E402
from stnreg.training.processes import Processes, choose_device, from_environment  # noqa: E402
from stnreg.training.record import read_metrics  # noqa: E402
from stnreg.training.run import PairRun, train_pair  # noqa: E402

SETTINGS = """
preset = "tiny"
[loop]
epochs = 1
steps_per_epoch = 6
log_every = 1
validate_every = 3
device = "cpu"
[pair]
batch = 4
[pair.loss]
grid_point = 1.0
inverse_consistency = 0.5
"""


def test_two_processes_take_the_steps_of_one(tmp_path, scans):
    cache, settings = tmp_path / "scans.npz", tmp_path / "settings.toml"
    save_scans(cache, scans)
    settings.write_text(SETTINGS)
    train_pair(PairRun(tmp_path / "one", head="separate", config=settings, cache=cache))
    # What torchrun is; --standalone finds a free port.
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = ("-m", "stnreg", "train", "--model", "separate", "-o", tmp_path / "two")
    words = [sys.executable, *torchrun, *command, "--config", settings, "--cache", cache]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best.ckpt") == 1  # the first process alone talks

    one, two = (
        {(f.step, f.split, f.name): f.value for f in read_metrics(tmp_path / name / "metrics.csv")}
        for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    assert {name for _, _, name in one} > {"loss", "step_s"}
    for key in one:
        if key[2] != "step_s":
            assert two[key] == pytest.approx(one[key], rel=1e-4), key
    weights = [load_checkpoint(tmp_path / name / "last.ckpt")["model"] for name in ("one", "two")]
    # A bias in front of a normalisation changes nothing, so its gradient is rounding alone.
    for name in ("features.0.weight", "hidden.weight", "head.weight", "head.bias"):
        assert torch.allclose(weights[0][name], weights[1][name], atol=1e-4), name


def test_without_torchrun_there_is_one():
    assert from_environment() == Processes(0, 1, 0)


def test_each_process_takes_its_share():
    numbers = torch.arange(6)
    assert [Processes(rank, 3).shard(numbers)[0].tolist() for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]


def test_a_missing_gpu_is_reported(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UsageProblem, match="no GPU"):
        choose_device("cuda")
