"""From what a command line says to a trained network of a related method: pack, guidance, settings, the loop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stnreg.errors import DataError, UsageProblem
from stnreg.registration.deformable.velocity import find_velocity_network
from stnreg.training.anatomy.run import sources_of
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import lay_over, merge, read_toml, to_dict
from stnreg.training.deformable.command import packed_subjects
from stnreg.training.deformable.pack import VALIDATION_SCANS
from stnreg.training.deformable.subjects import Pack, load_pack
from stnreg.training.loop import train
from stnreg.training.processes import choose_device
from stnreg.training.related.bspline import BSplineTask
from stnreg.training.related.dual_guided import DualGuidedSettings, DualGuidedTask
from stnreg.training.related.guidance import make_guidance
from stnreg.training.related.linear_deformable import LinearDeformableTask
from stnreg.training.related.settings import PRESETS, RelatedTraining
from stnreg.training.related.task import RelatedTask
from stnreg.training.run import PairRun

GUIDES = "velocity"  # the network whose fields guide
TASKS = {"linear-deformable": LinearDeformableTask, "bspline": BSplineTask}


def related_model(wanted: PairRun) -> str | None:
    """Return the model of a related method, from `--model`, or the run to resume; None for another."""
    name = wanted.head
    if name is None and wanted.resume and (wanted.folder / "last.ckpt").is_file():
        name = str(load_checkpoint(wanted.folder / "last.ckpt")["task"])
    return name if name in PRESETS else None


def train_related(wanted: PairRun) -> Path:
    """Train a network of a related method, and return its best checkpoint.

    Scans are packed once into `--cache`, `RUN/pack.npz` when left out, as for a velocity network. The fields that guide
    `dual-guided` are made once into `RUN/guidance.npz`.

    Raises
    ------
    UsageProblem
        If there is nothing to pack or settings contradict each other.
    DataError
        If a file cannot be used, or there is nothing to train on.
    """
    name = str(related_model(wanted))
    _check(wanted)
    validation = VALIDATION_SCANS if wanted.validation is None else wanted.validation
    about: dict[str, Any] = {"sources": sources_of(wanted.terms), "validation_scans": validation}
    start = None
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        base = PRESETS[name]["default"]
        training = merge(base, {"loop": stored["loop"], "related": stored["related"]})
        about = {key: stored[key] for key in ("sources", "validation_scans", "started_from") if key in stored}
    else:
        training = choose_settings(wanted, name)
    if wanted.start is not None:
        start, made_by = load_weights(wanted.start)
        if made_by["task"] != name:
            raise DataError(f"{wanted.start}: expected weights of {name}, got {made_by['task']!r}")
        about["started_from"] = wanted.start.name
    training = replace(training, loop=_with_options(training.loop, wanted))
    if training.loop.threads:
        torch.set_num_threads(training.loop.threads)
    path = packed_subjects(wanted, validation)
    pack = load_pack(path, choose_device(training.loop.device))
    for what, found in (("train on", pack.scans.training), ("validate with", pack.scans.validation)):
        if len(found) < 2:
            raise DataError(f"{path}: expected two scans to {what} at least, got {len(found)}")
    task = make_task(name, training, pack, wanted.folder)
    settings = {"related": to_dict(training.related), **about}
    return train(task, training.loop, wanted.folder, settings=settings, resume=wanted.resume, start=start)


def make_task(name: str, training: RelatedTraining, pack: Pack, folder: Path) -> RelatedTask:
    """Return the task of a run; fields that guide it are made first, where they are not there yet."""
    loop, settings = training.loop, training.related
    if not isinstance(settings, DualGuidedSettings):
        return TASKS[name](name, settings, pack, 1 + loop.seed, loop.steps)
    guides = folder / "guidance.npz"
    if not guides.is_file():
        network = find_velocity_network(GUIDES, loop.threads, "cpu")
        make_guidance(pack, settings.guided_pairs, network, guides, loop.threads or 1)
    return DualGuidedTask(name, settings, pack, 1 + loop.seed, loop.steps, guides)


def choose_settings(wanted: PairRun, name: str) -> RelatedTraining:
    """Put the settings of a new run together: preset, TOML.

    Raises
    ------
    UsageProblem
        If there is no such preset.
    DataError
        If the TOML cannot be used.
    """
    named, values = read_toml(wanted.config) if wanted.config else (None, {})
    preset = wanted.preset or named or "default"
    if preset not in PRESETS[name]:
        raise UsageProblem(f"no preset {preset!r} for {name}; there are {', '.join(PRESETS[name])}")
    training = PRESETS[name][preset]
    return lay_over(training, values, wanted.config) if wanted.config else training


def _with_options(loop: Any, wanted: PairRun) -> Any:
    given = {"epochs": wanted.epochs, "threads": wanted.threads, "device": wanted.device}
    return replace(loop, **{name: value for name, value in given.items() if value is not None})


def _check(wanted: PairRun) -> None:
    """Refuse what contradicts itself, or is not for these models."""
    if wanted.resume and wanted.start:
        raise UsageProblem("--resume goes on with a run, --from starts a new one: give one of them")
    if wanted.pairs is not None or wanted.transforms or wanted.skip_bad:
        raise UsageProblem("PAIRS.csv, --transforms and --skip-bad are for pair networks")
    if wanted.validation is not None and wanted.validation < 2:
        raise UsageProblem("--validation: these models need at least two scans to validate with")
