"""Slice networks, from packed scans to a network that is exported."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from stnreg.errors import DataError, UsageProblem  # noqa: E402
from stnreg.models.card import find  # noqa: E402
from stnreg.networks.slices import slice_theta  # noqa: E402
from stnreg.registration.methods import method_of  # noqa: E402
from stnreg.training.augment import step_generator  # noqa: E402
from stnreg.training.data import save_scans  # noqa: E402
from stnreg.training.export import export_checkpoint  # noqa: E402
from stnreg.training.run import PairRun  # noqa: E402
from stnreg.training.slices.run import is_slices, train_slices  # noqa: E402
from stnreg.training.slices.settings import SLICE_PRESETS, SliceConfig, slice_preset  # noqa: E402
from stnreg.training.slices.task import SliceTask, _warp  # noqa: E402

SMALL = """
[loop]
epochs = 1
steps_per_epoch = 3
warmup_steps = 1
validate_every = 3
[slices]
batch = 4
spacing_mm = 8.0
validation_pairs = 4
[slices.model]
size = 32
channels = [4, 8]
hidden = 8
"""


@pytest.mark.parametrize("name", SLICE_PRESETS)
def test_a_preset_trains_and_is_exported_but_registers_no_scans(name, scans, tmp_path):
    save_scans(tmp_path / "scans.npz", scans)
    (tmp_path / "small.toml").write_text(SMALL)
    cache, config = tmp_path / "scans.npz", tmp_path / "small.toml"
    wanted = PairRun(tmp_path / "run", preset=name, config=config, cache=cache)
    assert is_slices(wanted)
    best = train_slices(wanted)
    again = PairRun(tmp_path / "run", resume=True, cache=cache)
    assert is_slices(again)
    assert train_slices(again) == best
    card = export_checkpoint(best, tmp_path / "net.onnx")
    assert card["kind"] == "slices"
    with pytest.raises(DataError, match="network of the kind 'slices'"):
        method_of(find(str(tmp_path / "net.onnx")))


def test_the_truth_takes_the_fixed_slice_onto_the_moving_one(scans):
    task = SliceTask(SliceConfig(model=slice_preset(SLICE_PRESETS[0]).slices.model), scans, seed=0)
    pairs, truth = task.draw(step_generator(1, 2), 6, np.arange(6))
    moved = _warp(pairs[:, 1:], slice_theta(truth), pairs.shape[-1])
    before = (pairs[:, 0] - pairs[:, 1]).square().mean()
    assert (pairs[:, 0] - moved[:, 0]).square().mean() < 0.2 * before


def test_the_loss_falls_in_a_few_steps(scans):
    config = SliceConfig(model=slice_preset("sloan-explicit-2d").slices.model, batch=8, consistency=0.1)
    task = SliceTask(config, scans, seed=0)
    torch.manual_seed(0)
    network = task.build()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        parts = task.loss(network, 0)  # the same pairs again and again
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(parts["parameters"].item())
    assert losses[-1] < 0.5 * losses[0]


def test_other_options_are_refused(tmp_path):
    with pytest.raises(UsageProblem, match="--scans alone"):
        train_slices(PairRun(tmp_path / "run", preset="sloan-cnn-2d", head="affine"))
