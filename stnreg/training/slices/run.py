"""Train a slice network from command-line options, and rebuild it for export."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from stnreg.errors import UsageProblem
from stnreg.networks.slices import SliceArchitecture, SliceNet
from stnreg.training.checkpoint import load_checkpoint
from stnreg.training.config import PairConfig, lay_over, merge, read_toml, to_dict
from stnreg.training.loop import train
from stnreg.training.released import Released
from stnreg.training.run import PairRun, prepare_scans
from stnreg.training.slices.settings import SLICE_PRESETS, SliceRunConfig, slice_preset
from stnreg.training.slices.task import SliceTask


def is_slices(wanted: PairRun) -> bool:
    """Return whether a run trains a slice network: by its preset, or by the checkpoint to resume."""
    if wanted.resume and (wanted.folder / "last.ckpt").is_file():
        return bool(load_checkpoint(wanted.folder / "last.ckpt")["task"] == SliceTask.name)
    return wanted.preset in SLICE_PRESETS


def train_slices(wanted: PairRun) -> Path:
    """Train a slice network, and return the path of its best checkpoint.

    Raises
    ------
    UsageProblem
        If an option does not apply to slice networks, or there is nothing to train on.
    DataError
        If a file cannot be used.
    """
    if wanted.head or wanted.start or wanted.transforms or wanted.pairs:
        raise UsageProblem("slice networks take --scans alone: no model, no table of pairs, no weights to start from")
    config = _config(wanted)
    size = config.slices.model.size
    cubes = PairConfig(spacing_mm=config.slices.spacing_mm, normalise=config.slices.normalise, oversampling=1)
    scans = prepare_scans(wanted, replace(cubes, model=replace(cubes.model, size=size)))
    task = SliceTask(config.slices, scans, seed=config.loop.seed)
    settings = {"slices": to_dict(config.slices), "sources": list(scans.sources), "skipped": list(scans.skipped)}
    return train(task, config.loop, wanted.folder, settings=settings, resume=wanted.resume)


def _config(wanted: PairRun) -> SliceRunConfig:
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        config = merge(SliceRunConfig(), {"loop": stored["loop"], "slices": stored["slices"]})
    else:
        assert wanted.preset is not None
        config = slice_preset(wanted.preset)
        if wanted.config is not None:
            config = lay_over(config, read_toml(wanted.config)[1], wanted.config)
    given = {"epochs": wanted.epochs, "device": wanted.device, "threads": wanted.threads}
    return merge(config, {"loop": {name: value for name, value in given.items() if value is not None}})


def slice_network(config: dict[str, Any]) -> Released:
    """Rebuild a slice network from the config of its checkpoint, without its weights."""
    slices = config["slices"]
    architecture = SliceArchitecture.from_dict(slices["model"])
    size = architecture.size
    card = {"kind": "slices", "size": size, "spacing_mm": slices["spacing_mm"], "normalise": slices["normalise"]}
    return Released(SliceNet(architecture), "pair", "parameters", (1, 2, size, size), card)
