"""From what a command line says to a trained velocity network: the pack, settings, the run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.registration.anatomy.encode import encode
from stnreg.registration.anatomy.load import load
from stnreg.registration.deformable.frame import frame_to_head
from stnreg.registration.options import DEFAULT_MODEL
from stnreg.training.anatomy.run import sources_of
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import lay_over, merge, read_toml
from stnreg.training.deformable.pack import VALIDATION_SCANS, make_pack
from stnreg.training.deformable.presets import PRESETS
from stnreg.training.deformable.run import train
from stnreg.training.deformable.task import TrainSettings, shape_of
from stnreg.training.processes import from_environment
from stnreg.training.run import PairRun

NAME = "velocity"
ABOUT = ("sources", "started_from", "validation_scans")  # of a checkpoint's config, beside the settings


@dataclass(frozen=True)
class VelocityTraining:
    """What a TOML file may say: the table `[velocity]`."""

    velocity: TrainSettings = field(default_factory=TrainSettings)


def is_velocity(wanted: PairRun) -> bool:
    """Tell whether `--model`, or the run to go on with, says a velocity network."""
    last = wanted.folder / "last.ckpt"
    if wanted.head is None and wanted.resume and last.is_file():
        return bool(load_checkpoint(last)["task"] == NAME)
    return wanted.head == NAME


def train_velocity(wanted: PairRun, *, steps: int | None = None, minutes: float | None = None) -> Path:
    """Train a velocity network and return its weights' checkpoint.

    Subjects are packed once into `--cache`, `RUN/pack.npz` when left out, from `--scans ROOT`, where `ROOT/ixi` holds
    scans with DLMUSE labels and `ROOT/labelmaps` anatomies with FreeSurfer codes.

    Parameters
    ----------
    wanted : PairRun
    steps, minutes : int, float, optional
        Of the whole run; those of the settings when left out.

    Raises
    ------
    UsageProblem
        If there is nothing to pack or settings contradict each other.
    DataError
        If a file cannot be used, or there is nothing to train on.
    """
    _check(wanted, steps, minutes)
    validation = VALIDATION_SCANS if wanted.validation is None else wanted.validation
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        settings = merge(TrainSettings(), {name: value for name, value in stored.items() if name not in ABOUT})
        about = {name: stored[name] for name in ABOUT if name in stored}
    else:
        settings = choose_settings(wanted)
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


def _check(wanted: PairRun, steps: int | None, minutes: float | None) -> None:
    """Refuse what contradicts itself, or is not for velocity networks."""
    if wanted.resume and wanted.start:
        raise UsageProblem("--resume goes on with a run, --from starts a new one: give one of them")
    if steps is not None and minutes is not None:
        raise UsageProblem("--steps and --minutes: give one of them")
    if wanted.epochs is not None:
        raise UsageProblem("--epochs: a velocity network is trained for --steps or --minutes")
    if wanted.pairs is not None or wanted.transforms or wanted.skip_bad:
        raise UsageProblem("PAIRS.csv, --transforms and --skip-bad are for pair networks")
    if wanted.validation is not None and wanted.validation < 1:
        raise UsageProblem("--validation: a velocity network needs at least one scan to validate with")
    if from_environment().count > 1:
        raise UsageProblem(f"{NAME}: trains in one process; start it without torchrun")
    if (wanted.folder / "last.ckpt").exists() and not wanted.resume:
        raise UsageProblem(f"{wanted.folder}: a run is here already; go on with it by --resume, or name another folder")


def choose_settings(wanted: PairRun) -> TrainSettings:
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
    if name not in PRESETS:
        raise UsageProblem(f"no preset {name!r} for a velocity network; there are {', '.join(PRESETS)}")
    settings = PRESETS[name]
    if wanted.start is not None:
        made_by = load_weights(wanted.start)[1]
        if made_by.get("task") != NAME:
            raise DataError(f"{wanted.start}: expected weights of a velocity network, got {made_by.get('task')!r}")
        settings = replace(settings, network=shape_of(made_by["config"]))
    if wanted.config:
        settings = lay_over(VelocityTraining(settings), values, wanted.config).velocity
    return settings


def packed_subjects(wanted: PairRun, validation: int = VALIDATION_SCANS) -> Path:
    """Return the pack to train on, made now where it is not there yet."""
    pack = wanted.cache or wanted.folder / "pack.npz"
    if pack.is_file():
        return pack
    if len(wanted.scans) != 1:
        raise UsageProblem("a velocity network needs --scans ROOT (with ixi/ and labelmaps/) or a packed --cache")
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
