"""From what a command line says to a trained velocity or synthesis network: the pack, settings, the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.networks.velocity import VelocityShape
from stnreg.registration.anatomy.encode import encode
from stnreg.registration.anatomy.load import load
from stnreg.registration.deformable.frame import frame_to_head
from stnreg.registration.options import DEFAULT_MODEL
from stnreg.training.anatomy.run import sources_of
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import lay_over, merge, read_toml
from stnreg.training.deformable.pack import VALIDATION_SCANS, make_pack
from stnreg.training.deformable.presets import PRESETS, SYNTHESIS_PRESETS
from stnreg.training.deformable.run import train
from stnreg.training.deformable.steps import shape_of
from stnreg.training.deformable.synthesis import SynthesisSettings
from stnreg.training.deformable.task import TrainSettings
from stnreg.training.processes import from_environment
from stnreg.training.run import PairRun

Settings = TrainSettings | SynthesisSettings
NETWORKS: dict[str, Mapping[str, Settings]] = {"velocity": PRESETS, "synthesis": SYNTHESIS_PRESETS}
"""The presets of each network that is trained on a pack."""
ABOUT = ("sources", "started_from", "validation_scans")  # of a checkpoint's config, beside the settings


@dataclass(frozen=True)
class VelocityTraining:
    """What a TOML file may say of a velocity network: the table `[velocity]`."""

    velocity: TrainSettings = field(default_factory=TrainSettings)


@dataclass(frozen=True)
class SynthesisTraining:
    """What a TOML file may say of a synthesis network: the table `[synthesis]`."""

    synthesis: SynthesisSettings = field(default_factory=SynthesisSettings)


def packed_model(wanted: PairRun) -> str | None:
    """Return the network of `NETWORKS` that `--model`, or the run to go on with, says; None if it is another."""
    name, last = wanted.head, wanted.folder / "last.ckpt"
    if name is None and wanted.resume and last.is_file():
        name = str(load_checkpoint(last)["task"])
    return name if name in NETWORKS else None


def train_packed(wanted: PairRun, model: str, *, steps: int | None = None, minutes: float | None = None) -> Path:
    """Train a velocity or synthesis network and return its weights' checkpoint.

    Subjects are packed once into `--cache`, `RUN/pack.npz` when left out, from `--scans ROOT`, where `ROOT/ixi` holds
    scans with DLMUSE labels and `ROOT/labelmaps` anatomies with FreeSurfer codes.

    Parameters
    ----------
    wanted : PairRun
    model : str
        `velocity` or `synthesis`.
    steps, minutes : int, float, optional
        Of the whole run; those of the settings when left out.

    Raises
    ------
    UsageProblem
        If there is nothing to pack or settings contradict each other.
    DataError
        If a file cannot be used, or there is nothing to train on.
    """
    _check(wanted, model, steps, minutes)
    validation = VALIDATION_SCANS if wanted.validation is None else wanted.validation
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        base = NETWORKS[model]["default"]
        settings = merge(base, {name: value for name, value in stored.items() if name not in ABOUT})
        about = {name: stored[name] for name in ABOUT if name in stored}
    else:
        settings = choose_settings(wanted, model)
        about = {"sources": sources_of(wanted.terms), "validation_scans": validation}
        about["started_from"] = wanted.start.name if wanted.start else None
    if steps is not None or minutes is not None:
        settings = replace(settings, steps=steps or settings.steps, minutes=minutes or 0.0)
    pack = packed_subjects(wanted, validation)
    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    return train(
        pack,
        wanted.folder,
        device=wanted.device or "auto",
        resume=wanted.resume,
        start=wanted.start,
        settings=settings,
        about=about,
    )


def _check(wanted: PairRun, model: str, steps: int | None, minutes: float | None) -> None:
    """Refuse what contradicts itself, or is not for these networks."""
    if wanted.resume and wanted.start:
        raise UsageProblem("--resume goes on with a run, --from starts a new one: give one of them")
    if steps is not None and minutes is not None:
        raise UsageProblem("--steps and --minutes: give one of them")
    if wanted.epochs is not None:
        raise UsageProblem(f"--epochs: a {model} network is trained for --steps or --minutes")
    if wanted.pairs is not None or wanted.transforms or wanted.skip_bad:
        raise UsageProblem("PAIRS.csv, --transforms and --skip-bad are for pair networks")
    if wanted.validation is not None and wanted.validation < 1:
        raise UsageProblem(f"--validation: a {model} network needs at least one scan to validate with")
    if from_environment().count > 1:
        raise UsageProblem(f"{model}: trains in one process; start it without torchrun")
    if (wanted.folder / "last.ckpt").exists() and not wanted.resume:
        raise UsageProblem(f"{wanted.folder}: a run is here already; go on with it by --resume, or name another folder")


def choose_settings(wanted: PairRun, model: str) -> Settings:
    """Put the settings of a new run together: preset, the network of the weights to start from, TOML.

    Raises
    ------
    UsageProblem
        If there is no such preset.
    DataError
        If the TOML, or the weights to start from, cannot be used.
    """
    named, values = read_toml(wanted.config) if wanted.config else (None, {})
    name = wanted.preset or named or "default"
    presets = NETWORKS[model]
    if name not in presets:
        raise UsageProblem(f"no preset {name!r} for a {model} network; there are {', '.join(presets)}")
    settings = presets[name]
    if wanted.start is not None:
        settings = _as_started(settings, wanted.start, model)
    if wanted.config:
        settings = _laid_over(settings, values, wanted.config)
    return settings


def _laid_over(settings: Settings, values: dict[str, Any], path: Path) -> Settings:
    if isinstance(settings, SynthesisSettings):
        return lay_over(SynthesisTraining(settings), values, path).synthesis
    return lay_over(VelocityTraining(settings), values, path).velocity


def _as_started(settings: Settings, start: Path, model: str) -> Settings:
    """Return settings with the network of the weights to start from.

    A synthesis network may start from a velocity network, whose encoder it takes.
    """
    made_by = load_weights(start)[1]
    if made_by.get("task") not in {model, "velocity"}:
        raise DataError(f"{start}: expected weights of a {model} network, got {made_by.get('task')!r}")
    if isinstance(settings, TrainSettings):
        return replace(settings, network=shape_of(made_by["config"], VelocityShape))
    encoder = {k: v for k, v in made_by["config"]["network"].items() if k in settings.network.as_dict()}
    return replace(settings, network=merge(settings.network, encoder))


def packed_subjects(wanted: PairRun, validation: int = VALIDATION_SCANS) -> Path:
    """Return the pack to train on, made now where it is not there yet."""
    pack = wanted.cache or wanted.folder / "pack.npz"
    if pack.is_file():
        return pack
    if len(wanted.scans) != 1:
        raise UsageProblem("this network needs --scans ROOT (with ixi/ and labelmaps/) or a packed --cache")
    root = wanted.scans[0]
    if not any((root / "labelmaps").glob("*.nii.gz")) or not any((root / "ixi").glob("*_T1.nii.gz")):
        raise DataError(f"{root}: expected ixi/*_T1.nii.gz with their *_labels.nii.gz, and labelmaps/*.nii.gz")
    model = load(find(DEFAULT_MODEL), threads=wanted.threads, device=wanted.device or "auto").model

    def frame_of(array: np.ndarray, grid: Grid) -> np.ndarray:
        return frame_to_head(encode(array, grid, model), model.fine)

    make_pack(root, pack, frame_of, _encoder(), validation=validation)
    return pack


def _encoder() -> dict[str, Any]:
    """Return the weights of the anatomy network, which the encoder starts from; none where only its ONNX is there."""
    path = find(DEFAULT_MODEL).path.with_suffix(".safetensors")
    return {name: tensor.numpy() for name, tensor in load_weights(path)[0].items()} if path.is_file() else {}
