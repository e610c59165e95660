import resource

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("safetensors", reason="needs safetensors: pip install 'stnreg[train]'")

from stnreg.errors import DataError  # noqa: E402
from stnreg.training.checkpoint import (  # noqa: E402
    load_checkpoint,
    load_into,
    load_weights,
    save_checkpoint,
    save_safetensors,
)

WEIGHTS = {"weight": torch.arange(3.0)[None], "bias": torch.zeros(1)}
METADATA = {"task": "pair", "config": {"pair": {"batch": 4}}, "step": 7}


def test_a_checkpoint_comes_back_without_running_code(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"model": WEIGHTS, "ema": None, **METADATA})
    content = torch.load(path, weights_only=True)
    assert content["step"] == 7
    weights, metadata = load_weights(path)
    assert torch.equal(weights["weight"], WEIGHTS["weight"])
    assert metadata == METADATA
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_is_reported_and_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, METADATA)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"last\.ckpt: cannot be written \(File too large"):
            save_checkpoint(path, {"model": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_safetensors_say_what_they_are(tmp_path):
    path = tmp_path / "a.safetensors"
    save_safetensors(path, WEIGHTS, METADATA)
    weights, metadata = load_weights(path)
    assert torch.equal(weights["weight"], WEIGHTS["weight"])
    assert metadata == METADATA


def test_same_weights_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_safetensors(tmp_path / name, WEIGHTS, METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", ["a.ckpt", "a.safetensors"])
def test_what_is_no_checkpoint_is_named(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(DataError, match="no such"):
        load_weights(path)
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match=name):
        load_weights(path)


class Hostile:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_hostile_checkpoint_runs_nothing(tmp_path):
    for name in ("a.ckpt", "a.safetensors"):
        torch.save({"format": 1, "model": Hostile(str(tmp_path / "ran"))}, tmp_path / name)
        with pytest.raises(DataError, match=name):
            load_weights(tmp_path / name)
        assert not (tmp_path / "ran").exists()


def test_another_format_is_refused(tmp_path):
    torch.save({"format": 0}, tmp_path / "a.ckpt")
    with pytest.raises(DataError, match="expected a checkpoint of format"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_every_weight_must_fit():
    model = torch.nn.Linear(3, 1)
    load_into(model, WEIGHTS, "a.ckpt")
    assert torch.equal(model.weight.detach(), WEIGHTS["weight"])
    with pytest.raises(DataError, match=r"bias is absent, this one has \(1,\)"):
        load_into(model, {"weight": WEIGHTS["weight"]}, "a.ckpt")
    with pytest.raises(DataError, match=r"weight is \(1, 3\), this one has \(1, 2\)"):
        load_into(torch.nn.Linear(2, 1), WEIGHTS, "a.ckpt")
