"""Train a velocity network on a pack, within minutes or steps, on any device.

Nothing but torch, numpy and the standard library is needed. The learning rate ends at nothing when the budget ends.

`stnreg train --model velocity` does the same, and makes the pack first. Run alone, as
`python -m stnreg.training.deformable.run PACK.npz OUT --minutes 8.5`. `OUT/weights.ckpt` holds the running mean of the
weights and what rebuilds the network, `STATE/last.ckpt` all that a run needs to go on.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stnreg.errors import DataError
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.deformable.batch import BatchSettings
from stnreg.training.deformable.presets import PRESETS
from stnreg.training.deformable.steps import Budget
from stnreg.training.deformable.subjects import Pack, load_pack
from stnreg.training.deformable.synthesis import SynthesisRun, SynthesisSettings
from stnreg.training.deformable.task import Run, TrainSettings
from stnreg.training.processes import choose_device


def train(
    pack: Path,
    out: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    until: float | None = None,
    device: str = "auto",
    resume: bool = False,
    start: Path | None = None,
    state: Path | None = None,
    settings: TrainSettings | SynthesisSettings | None = None,
    about: dict[str, Any] | None = None,
    validate_every_s: float = 80.0,
    save_every_s: float = 60.0,
) -> Path:
    """Train, and return the weights' path.

    Parameters
    ----------
    pack : Path
        Of `stnreg.training.deformable.pack`.
    out : Path
        Folder of `weights.ckpt` and `log.jsonl`.
    minutes, steps, until : float, int, float
        The budget, one of them at most; that of the settings when left out. Minutes count from the call, reading the
        pack included; `until` is a time as `time.time` tells it, whenever the run was begun or resumed.
    device : str
        `auto`, `cpu` or `cuda[:N]`.
    resume : bool
        Go on with the run whose `last.ckpt` lies in `state`. On a CPU and with a budget of steps the next step is the
        same as if the run had never stopped.
    start : Path, optional
        Weights to start from, with a new schedule: `.ckpt` or `.safetensors`.
    state : Path, optional
        Folder of `last.ckpt`; `out` when left out.
    settings : TrainSettings, optional
    about : dict, optional
        What checkpoints hold beside the settings, for the sidecar: `sources`, `started_from`, `validation_scans`.
    validate_every_s, save_every_s : float

    Raises
    ------
    DataError
        If a file cannot be used, or the pack has nothing to train on.
    """
    settings = settings or TrainSettings()
    if minutes is steps is until is None:
        minutes, steps = (settings.minutes, None) if settings.minutes else (None, settings.steps)
    if [minutes, steps, until].count(None) != 2:
        raise ValueError("give minutes, steps or until, one of them")
    budget = Budget(steps, None if minutes is None else 60 * minutes, time.monotonic())
    if until is not None:
        budget.seconds = until - time.time()
    where = choose_device(device)
    if where.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    packed = load_pack(pack, where)
    check_pack(packed, settings, pack)
    run = _begun(packed, settings, where, budget, about)
    if start is not None:
        run.start_from(load_weights(start)[0], str(start))
    kept = (state or out) / "last.ckpt"
    if resume:
        run.restore(load_checkpoint(kept, str(where)))
        if until is not None:
            budget.seconds = budget.elapsed + until - time.time()
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "log.jsonl", fresh=not resume)
    log.add(run.step, "begin", {"device": str(where), "scans": len(packed.scans.names), "s": budget.elapsed})
    saved = validated = time.monotonic()
    while budget.share(run.step) < 1:
        figures = run.advance()
        now = time.monotonic()
        if run.step % 50 == 0 or run.step in (1, 2, 5, 10, 20):
            log.add(run.step, "train", {**figures, "s": budget.elapsed, "GiB": _memory_gib(where)})
        if now - validated >= validate_every_s:
            log.add(run.step, "validation", run.validate())
            validated = time.monotonic()
        if now - saved >= save_every_s:
            run.save(out / "weights.ckpt", kept)
            saved = time.monotonic()
    run.save(out / "weights.ckpt", kept)
    log.add(run.step, "validation", run.validate())
    run.save(out / "weights.ckpt", kept)
    return out / "weights.ckpt"


def _begun(
    packed: Pack,
    settings: TrainSettings | SynthesisSettings,
    device: torch.device,
    budget: Budget,
    about: dict[str, Any] | None,
) -> Run | SynthesisRun:
    """Return a run at its first step."""
    if isinstance(settings, SynthesisSettings):
        settings = replace(settings, network=replace(settings.network, maps=packed.labels))
        return SynthesisRun(packed, settings, device, budget, about)
    settings = replace(settings, network=replace(settings.network, maps=packed.labels))
    return Run(packed, settings, device, budget, about)


def check_pack(packed: Pack, settings: TrainSettings | SynthesisSettings, path: Path) -> None:
    """Refuse to train where a kind of pairs is asked for and the pack has nothing to make them of."""
    pairs = settings.batch
    for what, found, wanted in (
        ("scan", packed.scans, pairs.scan_pairs + pairs.mixed_pairs),
        ("label map", packed.anatomies, pairs.painted_pairs + pairs.mixed_pairs),
    ):
        if wanted and not found.training:
            raise DataError(f"{path}: no {what} to train on; the last ones by name are kept for validation")


class Log:
    """Figures on standard error, and one JSON object a line in a file."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.path = path
        if fresh:
            path.write_text("")

    def add(self, step: int, kind: str, figures: dict[str, Any]) -> None:
        """Note figures of a step."""
        rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in figures.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, "kind": kind, **rounded}) + "\n")
        shown = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rounded.items())
        print(f"{step:6d} {kind:10s} {shown}", file=sys.stderr, flush=True)


def _memory_gib(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--until", type=float, metavar="TIME", help="end at this time, in seconds as `date +%%s` says")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, help="weights.ckpt to start from, with a new schedule")
    parser.add_argument("--state", type=Path, help="folder of last.ckpt; OUT when left out")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--rate", type=float, help="that of the preset when left out")
    parser.add_argument("--smoothness", type=float, help="weight at the start; that of the preset when left out")
    parser.add_argument("--floor", type=float, help="least weight of smoothness; that of the preset when left out")
    parser.add_argument("--full", action="store_true", help="convolutions in float32, not bfloat16")
    parser.add_argument("--pairs", type=int, nargs=3, metavar=("SCANS", "PAINTED", "MIXED"))
    options = parser.parse_args()
    settings = PRESETS[options.preset]
    given = {"rate": options.rate, "smoothness": options.smoothness, "half": False if options.full else None}
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    if options.floor is not None:
        settings = replace(settings, loss=replace(settings.loss, floor=options.floor))
    if options.pairs is not None:
        settings = replace(settings, batch=BatchSettings(*options.pairs))
    train(
        options.pack,
        options.out,
        minutes=options.minutes,
        steps=options.steps,
        until=options.until,
        device=options.device,
        resume=options.resume,
        start=options.start,
        state=options.state,
        settings=settings,
        about={"started_from": options.start.name} if options.start else None,
    )


if __name__ == "__main__":
    main()
