"""Train an anatomy network from command-line options: packed subjects, settings, the loop."""

from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.structures import NAMES
from stnreg.errors import DataError, UsageProblem
from stnreg.training.anatomy.pack import pack
from stnreg.training.anatomy.release import rows
from stnreg.training.anatomy.task import KINDS, AnatomyTask, split
from stnreg.training.anatomy.template import group_template, mean_volumes
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import LoopConfig, merge
from stnreg.training.loop import train
from stnreg.training.run import PairRun

LOOP = LoopConfig(
    epochs=8,
    steps_per_epoch=500,
    learning_rate=1.5e-3,
    warmup_steps=60,
    ema=0.998,
    clip=2.0,
    log_every=25,
    validate_every=250,
    checkpoint_every=100,
)


def is_anatomy(model: str | None) -> bool:
    """Return whether `--model` names one of the anatomy networks."""
    return model in {f"anatomy-{kind}" for kind in KINDS}


def train_anatomy(wanted: PairRun) -> Path:
    """Train an anatomy network and return its best checkpoint.

    Subjects are packed once into `--cache` from `--scans ROOT`, where `ROOT/ixi` holds scans with DLMUSE labels
    and `ROOT/labelmaps` anatomies with FreeSurfer codes.

    Raises
    ------
    UsageProblem
        If there are no subjects to pack, or settings contradict each other.
    DataError
        If a file cannot be used.
    """
    if wanted.resume and wanted.start:
        raise UsageProblem("--resume goes on with a run, --from starts a new one: give one of them")
    kind = str(wanted.head).removeprefix("anatomy-")
    loop = LOOP
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        loop = merge(LOOP, stored["loop"])
    packed = packed_subjects(wanted)
    task = AnatomyTask(kind, packed, seed=1 + loop.seed)
    given = {"epochs": wanted.epochs, "threads": wanted.threads, "device": wanted.device}
    loop = merge(loop, {name: value for name, value in given.items() if value is not None})
    settings = {"anatomy": settings_of(task, packed), "sources": _sources(wanted.terms)}
    start = None
    if wanted.start is not None:
        start, _ = load_weights(wanted.start)
        settings["started_from"] = wanted.start.name
    return train(task, loop, wanted.folder, settings=settings, resume=wanted.resume, start=start)


def packed_subjects(wanted: PairRun) -> Path:
    """Return the folder of packed subjects, packed now where they are not there yet."""
    folder = wanted.cache or wanted.folder / "packed"
    if not (folder / "template.npy").is_file():
        if len(wanted.scans) != 1:
            raise UsageProblem("an anatomy network needs --scans ROOT (with ixi/ and labelmaps/) or a packed --cache")
        root = wanted.scans[0]
        if not any((root / "labelmaps").glob("*.nii*")) or not any((root / "ixi").glob("*_T1.nii.gz")):
            raise DataError(f"{root}: expected ixi/*_T1.nii.gz with their *_labels.nii.gz, and labelmaps/*.nii.gz")
        pack(root, folder)
    return folder


def settings_of(task: AnatomyTask, packed: Path, spread_mm: list[float] | None = None) -> dict[str, Any]:
    """Return what rebuilds a network and what its sidecar carries, of plain values."""
    names, _ = split(packed)
    template = np.load(packed / "template.npy") if task.kind == "fine" else group_template(packed, names)
    maps = len(NAMES) if task.kind == "fine" else len(template)
    return {
        "pass": task.kind,
        "shape": list(task.spec.shape),
        "spacing_mm": task.spec.spacing_mm,
        "maps": maps,
        "widths": list(task.widths),
        "template_lps_mm": rows(template),
        "spread_mm": spread_mm or [1.0] * maps,
        "volumes_mm3": mean_volumes(packed, names, grouped=task.spec.grouped),
    }


def _sources(terms: Any) -> list[dict[str, str]]:
    return [dict(zip(("name", "terms"), map(str.strip, term.split(":", 1)), strict=False)) for term in terms]
