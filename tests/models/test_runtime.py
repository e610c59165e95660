import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from stnreg.errors import DataError, UsageProblem
from stnreg.models import runtime as session
from stnreg.models.card import find
from stnreg.models.onnx_file import Contents


def test_a_network_runs_on_the_cpu(network):
    opened = session.open_session(find(str(network())), threads=1, device="cpu")
    assert opened.get_providers() == [session.CPU]
    (theta,) = opened.run(["theta"], {"pair": np.zeros((1, 2, 16, 16, 16), np.float32)})
    assert np.array_equal(theta[0], np.eye(3, 4))


def test_a_gpu_that_is_not_there_is_an_error(network, monkeypatch):
    monkeypatch.setattr(session, "gpu_count", lambda: 0)
    with pytest.raises(UsageProblem, match="no NVIDIA GPU"):
        session.open_session(str(network()), device="cuda")
    assert session.open_session(str(network()), device="auto").get_providers() == [session.CPU]


def test_a_gpu_that_does_not_really_run_is_an_error(network, monkeypatch):
    monkeypatch.setattr(session, "gpu_count", lambda: 1)
    honest = session._create
    monkeypatch.setattr(
        session, "_create", lambda content, weights, threads, gpu: honest(content, weights, threads, None)
    )
    with pytest.raises(UsageProblem, match="onnxruntime runs on CPU"):
        session.open_session(str(network()), device="cuda:0")
    with pytest.raises(UsageProblem, match="found 1 NVIDIA GPU on"):
        session.open_session(str(network()), device="cuda:1")


def test_onnxruntime_reports_no_use(network, tmp_path):
    """From 1.29 on it keeps reports in a cache below the home folder until it has sent them."""
    settings = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    home = tmp_path / "home"
    home.mkdir()
    code = "import sys; from stnreg.models.runtime import open_session; open_session(sys.argv[1], device='cpu')"
    subprocess.run([sys.executable, "-c", code, str(network())], env=environment | {"HOME": str(home)}, check=True)
    assert not list(home.rglob("*"))


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda0", "cuda:-1", ""])
def test_devices_that_are_none(device):
    with pytest.raises(UsageProblem, match="auto, cpu or cuda"):
        session.parse_device(device)


def test_outside_weights_and_broken_files_are_refused(network, monkeypatch):
    path = network()
    monkeypatch.setattr(session, "inspect", lambda content: Contents(True, []))
    with pytest.raises(DataError, match="in another file"):
        session.open_session(str(path))
    monkeypatch.undo()
    # Protobuf, with the right hash, and still no network.
    path.write_bytes(b"\x08\x01")
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(b"\x08\x01").hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="cannot run this network"):
        session.open_session(str(path))


def test_a_network_that_is_not_what_its_sidecar_says_is_refused(network):
    weights = find(str(network(size=16)))
    opened = session.open_session(weights, threads=1, device="cpu")
    with pytest.raises(DataError, match=r"shift\.onnx: this network fails on an image"):
        session.run_network(opened, weights, {"pair": np.zeros((1, 2, 8, 8, 8), np.float32)}, "theta")
    with pytest.raises(DataError, match="fails on an image"):
        session.run_network(opened, weights, {"pair": np.zeros((1, 2, 16, 16, 16), np.float32)}, "maps")


@pytest.mark.parametrize(
    "changes", [{"size": 10**6}, {"size": 0}, {"spacing_mm": float("nan")}, {"shape": [96, 96, 9**9]}]
)
def test_a_sidecar_that_asks_for_too_much_is_refused(network, changes):
    path = network()
    card = json.loads(path.with_suffix(".json").read_text()) | changes
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="not a sidecar"):
        find(str(path))


def test_operators_of_others_are_refused(network, monkeypatch):
    path = network()
    monkeypatch.setattr(session, "inspect", lambda content: Contents(False, ["evil.ops"]))
    with pytest.raises(DataError, match=r"shift\.onnx: uses evil\.ops"):
        session.open_session(str(path))


@pytest.mark.parametrize(("device", "images", "expected"), [
    ("auto", 2, "cpu"), ("auto", 500, "auto"), ("cuda:1", 2, "cuda:1"), ("cpu", 500, "cpu"),
])  # fmt: skip
def test_auto_does_not_start_a_gpu_for_one_pair(device, images, expected):
    assert session.device_for(device, images) == expected


def test_on_a_gpu_networks_compute_in_full_precision(monkeypatch, network):
    asked = {}

    def opened(content, options, providers):
        asked["providers"] = providers
        raise RuntimeError("no GPU here")

    monkeypatch.setattr("onnxruntime.InferenceSession", opened)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [session.CUDA, session.CPU])
    monkeypatch.setattr(session, "gpu_count", lambda: 2)
    with pytest.raises(DataError, match="no GPU here"):
        session.open_session(str(network()), device="cuda:1")
    assert asked["providers"] == [(session.CUDA, {"device_id": 1, "use_tf32": 0}), session.CPU]


@pytest.mark.parametrize(("provider", "freed"), [(session.CPU, True), (session.CUDA, False)])
def test_memory_is_given_back_on_the_cpu_alone(provider, freed, network):
    options = []

    class Session:
        def get_providers(self):
            return [provider]

        def run(self, outputs, inputs, how=None):
            options.append(how)
            return [np.zeros(1, np.float32)]

    for give_back in (False, True):
        session.run_network(Session(), find(str(network())), {}, "theta", give_back=give_back)
    assert options[0] is None
    entry = "memory.enable_memory_arena_shrinkage"
    assert (options[1].get_run_config_entry(entry) if options[1] else "") == ("cpu:0" if freed else "")
