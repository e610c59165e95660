"""Train a velocity network on a pack, within minutes or steps, on any device.

Nothing but torch, numpy and the standard library is needed. The learning rate ends at nothing when the budget ends.

Run it as `python -m stnreg.training.deformable.run PACK.npz OUT --minutes 8.5`. `OUT/weights.ckpt` holds the running
mean of the weights and what rebuilds the network, `STATE/last.ckpt` all that a run needs to go on.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from stnreg.training.checkpoint import load_checkpoint
from stnreg.training.deformable.batch import BatchSettings
from stnreg.training.deformable.subjects import load_pack
from stnreg.training.deformable.task import Budget, Run, TrainSettings


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
    settings: TrainSettings | None = None,
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
        The budget, one of them. Minutes count from the call, reading the pack included; `until` is a time as
        `time.time` tells it, whenever the run was begun or resumed.
    device : str
        `auto`, `cpu` or `cuda`.
    resume : bool
        Go on with the run whose `last.ckpt` lies in `state`. On a CPU and with a budget of steps the next step is the
        same as if the run had never stopped.
    start : Path, optional
        A `weights.ckpt` to start from, with a new schedule.
    state : Path, optional
        Folder of `last.ckpt`; `out` when left out.
    settings : TrainSettings, optional
    validate_every_s, save_every_s : float
    """
    if [minutes, steps, until].count(None) != 2:
        raise ValueError("give minutes, steps or until, one of them")
    budget = Budget(steps, None if minutes is None else 60 * minutes, time.monotonic())
    if until is not None:
        budget.seconds = until - time.time()
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    settings = settings or TrainSettings()
    if where.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    packed = load_pack(pack, where)
    run = Run(packed, settings, where, budget)
    if start is not None:
        run.network.load_state_dict(load_checkpoint(start)["model"])
        run.ema = run.weights()
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


class Log:
    """Figures on the screen, and one JSON object a line in a file."""

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
        print(f"{step:6d} {kind:10s} {shown}", flush=True)


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
    parser.add_argument("--rate", type=float, default=TrainSettings.rate)
    parser.add_argument("--smoothness", type=float, default=TrainSettings.smoothness, help="weight at the start")
    parser.add_argument("--full", action="store_true", help="convolutions in float32, not bfloat16")
    parser.add_argument("--pairs", type=int, nargs=3, metavar=("SCANS", "PAINTED", "MIXED"), default=(5, 2, 1))
    options = parser.parse_args()
    scans, painted, mixed = options.pairs
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
        settings=TrainSettings(
            rate=options.rate,
            smoothness=options.smoothness,
            half=not options.full,
            batch=BatchSettings(scans, painted, mixed),
        ),
    )


if __name__ == "__main__":
    main()
