"""Train an anatomy network from command-line options: packed subjects, settings, the loop."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.structures import NAMES
from stnreg.errors import DataError, UsageProblem
from stnreg.training.anatomy.pack import VALIDATION_ANATOMIES, VALIDATION_SCANS, pack, split
from stnreg.training.anatomy.settings import AnatomyTraining, choose_settings, with_options
from stnreg.training.anatomy.task import KINDS, AnatomyTask
from stnreg.training.anatomy.template import group_template, mean_volumes, rows
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import merge, to_dict
from stnreg.training.loop import train
from stnreg.training.run import PairRun

ALIASES = {"anatomy": "anatomy-fine"}  # as the released network is called


def anatomy_model(wanted: PairRun) -> str | None:
    """Return `anatomy-pose` or `anatomy-fine`, from `--model` or the run to resume; None for a pair network."""
    name = wanted.head
    if name is None and wanted.resume and (wanted.folder / "last.ckpt").is_file():
        name = str(load_checkpoint(wanted.folder / "last.ckpt")["task"])
    name = ALIASES.get(str(name), name)
    return name if name in {f"anatomy-{kind}" for kind in KINDS} else None


def train_anatomy(wanted: PairRun) -> Path:
    """Train an anatomy network and return its best checkpoint.

    Subjects are packed once into `--cache` from `--scans ROOT`, where `ROOT/ixi` holds scans with DLMUSE labels
    and `ROOT/labelmaps` anatomies with FreeSurfer codes.

    Raises
    ------
    UsageProblem
        If there are no subjects to pack, or settings contradict each other.
    DataError
        If a file cannot be used, or there is nothing to train on or to validate with.
    """
    if wanted.resume and wanted.start:
        raise UsageProblem("a run is resumed, or started from weights: give one of --resume and --from")
    kind = str(anatomy_model(wanted)).removeprefix("anatomy-")
    validation = VALIDATION_SCANS if wanted.validation is None else wanted.validation
    if validation < 1:
        raise UsageProblem("--validation: an anatomy network needs at least one scan to validate with")
    if wanted.resume:
        stored = load_checkpoint(wanted.folder / "last.ckpt")["config"]
        validation = stored["anatomy"].get("validation_scans", VALIDATION_SCANS)
        base = merge(AnatomyTraining(), {"loop": stored["loop"], "anatomy": stored.get("task", {})})
        training = with_options(base, wanted)
    else:
        training = choose_settings(wanted)
    packed = packed_subjects(wanted, validation)
    task = AnatomyTask(kind, packed, seed=1 + training.loop.seed, validation=validation, **vars(training.anatomy))
    _check_subjects(task, packed)
    settings = {
        "anatomy": settings_of(task, packed),
        "task": to_dict(training.anatomy),
        "sources": sources_of(wanted.terms),
    }
    start = None
    if wanted.start is not None:
        start, _ = load_weights(wanted.start)
        settings["started_from"] = wanted.start.name
    return train(task, training.loop, wanted.folder, settings=settings, resume=wanted.resume, start=start)


def _check_subjects(task: AnatomyTask, packed: Path) -> None:
    """Refuse to train where a split lacks scans or anatomies: images are made of both in turn."""
    for what, subjects in (("train on", task.subjects), ("validate with", task.held_out)):
        for kind, found in (("scan", subjects.scans), ("label map", subjects.anatomies)):
            if not found:
                raise DataError(
                    f"{packed}: no {kind} to {what}; the last {task.validation} scans by name (--validation) and "
                    f"{', '.join(VALIDATION_ANATOMIES)} are for validation, the others are trained on"
                )


def packed_subjects(wanted: PairRun, validation: int = VALIDATION_SCANS) -> Path:
    """Return the folder of packed subjects, packed now where they are not there yet."""
    folder = wanted.cache or wanted.folder / "packed"
    if not (folder / "template.npy").is_file():
        if len(wanted.scans) != 1:
            raise UsageProblem(
                "an anatomy network needs one folder of scans (with ixi/ and labelmaps/) or a packed cache"
            )
        root = wanted.scans[0]
        if not any((root / "labelmaps").glob("*.nii*")) or not any((root / "ixi").glob("*_T1.nii.gz")):
            raise DataError(f"{root}: expected ixi/*_T1.nii.gz with their *_labels.nii.gz, and labelmaps/*.nii.gz")
        pack(root, folder, validation)
    return folder


def settings_of(task: AnatomyTask, packed: Path) -> dict[str, Any]:
    """Return what rebuilds a network and what its sidecar carries, of plain values."""
    names, _ = split(packed, task.validation)
    template = np.load(packed / "template.npy") if task.kind == "fine" else group_template(packed, names)
    maps = len(NAMES) if task.kind == "fine" else len(template)
    return {
        "pass": task.kind,
        "shape": list(task.spec.shape),
        "spacing_mm": task.spec.spacing_mm,
        "maps": maps,
        "widths": list(task.widths),
        "template_lps_mm": rows(template),
        "volumes_mm3": mean_volumes(packed, names, grouped=task.spec.grouped),
        "validation_scans": task.validation,
    }


def sources_of(terms: Sequence[str]) -> list[dict[str, str]]:
    """Return `NAME: TERMS` of data sets as they stand in a sidecar."""
    return [dict(zip(("name", "terms"), map(str.strip, term.split(":", 1)), strict=False)) for term in terms]
