"""The training loop, top to bottom: learning rate, step, log, validate, checkpoint. It trains any `Task`."""

import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stnreg.errors import DataError, UsageProblem
from stnreg.training.checkpoint import best_weights, load_checkpoint, load_into, save_checkpoint
from stnreg.training.config import LoopConfig, to_dict
from stnreg.training.progress import MetricsFile, Progress


class Task(Protocol):
    """What can be trained."""

    name: str

    def build(self) -> nn.Module:
        """Return a fresh network."""

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return scalars, of which `loss` is minimised. The batch is a pure function of seed and step."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return figures, of which `score` is lower for better weights."""


def learning_rate(config: LoopConfig, step: int) -> float:
    """Return Adam's rate at a step of the schedule."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "cosine":
        done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        share = config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return config.learning_rate * share
    if config.schedule == "decay":
        return config.learning_rate * config.decay ** (step // config.steps_per_epoch // config.decay_epochs)
    if config.schedule == "constant":
        return config.learning_rate
    raise UsageProblem(f"schedule is cosine, decay or constant, got {config.schedule!r}")


def train(
    task: Task,
    config: LoopConfig,
    run: Path,
    *,
    settings: dict[str, Any],
    resume: bool = False,
    start: dict[str, Tensor] | None = None,
) -> Path:
    """Train a task and return the path of the best checkpoint.

    Parameters
    ----------
    task : Task
    config : LoopConfig
    run : Path
        Folder of the run: `last.ckpt`, `best.ckpt`, `metrics.csv`.
    settings : dict
        Everything else that rebuilds the task, of plain values; kept in the checkpoints beside `loop`.
    resume : bool
        Go on from `last.ckpt`, to the same next step as if nothing had happened.
    start : dict of Tensor, optional
        Weights to start from, at step 0.

    Raises
    ------
    DataError
        If there is nothing to resume, the weights to start from do not fit, or the loss is not finite.
    UsageProblem
        If the folder holds a run already and `resume` is not asked for.
    """
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = task.build().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    ema = {name: value.clone() for name, value in model.state_dict().items()} if config.ema else None
    step, best = 0, math.inf
    last_path, best_path = run / "last.ckpt", run / "best.ckpt"

    if resume:
        content = load_checkpoint(last_path, str(device))
        load_into(model, content["model"], str(last_path))
        optimizer.load_state_dict(content["optimizer"])
        ema, step, best = content["ema"], content["step"], content["best"]
    elif last_path.exists():
        raise UsageProblem(f"{run}: a run is here already; go on with it by --resume, or name another folder")
    elif start is not None:
        load_into(model, start, "the weights to start from")
        ema = {name: value.clone() for name, value in model.state_dict().items()} if config.ema else None

    def content_now() -> dict[str, Any]:
        return {
            "task": task.name,
            "model": model.state_dict(),
            "ema": ema,
            "optimizer": optimizer.state_dict(),
            "config": {**settings, "loop": to_dict(config)},
            "step": step,
            "best": best,
        }

    metrics = MetricsFile(run / "metrics.csv", resume_step=step if resume else None)
    half = torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()
    is_whole = True  # whether weights, optimiser and step belong together
    with Progress(task.name, step, config.steps) as progress:
        try:
            while step < config.steps:
                rate = learning_rate(config, step)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                began = time.perf_counter()
                with half:
                    losses = task.loss(model, step)
                optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                if config.clip:
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                figures = {name: float(value.detach()) for name, value in losses.items()}
                if not math.isfinite(figures["loss"]):
                    raise DataError(f"{run}: the loss at step {step} is {figures['loss']}; lower the rate")
                is_whole = False
                optimizer.step()
                update_ema(ema, model, config.ema, step)
                step += 1
                is_whole = True

                progress.step(step, figures["loss"], time.perf_counter() - began)
                is_end = step == config.steps
                if step % config.log_every == 0 or is_end:
                    metrics.add(step, "train", {**figures, "learning_rate": rate, "step_s": progress.step_s})
                    progress.log(step, figures)
                if step % config.validate_every == 0 or is_end:
                    scores = validate(task, model, ema)
                    metrics.add(step, "validation", scores)
                    progress.log(step, scores)
                    if scores["score"] < best:
                        best = scores["score"]
                        save_checkpoint(best_path, {**content_now(), "scores": scores})
                if step % config.checkpoint_every == 0 or is_end:
                    save_checkpoint(last_path, content_now())
        except (KeyboardInterrupt, SystemExit):
            if is_whole:  # else the last checkpoint stands
                save_checkpoint(last_path, content_now())
            raise
    return best_path


def choose_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda[:N]` means here; a missing GPU is a `UsageProblem`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageProblem(f"--device {name}: torch sees no GPU here; use --device cpu")
    return device


@torch.no_grad()
def update_ema(ema: dict[str, Tensor] | None, model: nn.Module, keep: float, step: int) -> None:
    """Move the running mean of the weights towards them, in place; a young mean moves faster."""
    if ema is None:
        return
    keep = min(keep, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            ema[name].lerp_(value, 1 - keep)
        else:
            ema[name].copy_(value)


@torch.no_grad()
def validate(task: Task, model: nn.Module, ema: dict[str, Tensor] | None) -> dict[str, float]:
    """Score the weights that would be used (the running mean), in float32, and leave the model as it was."""
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best_weights({"ema": ema, "model": trained}))
    model.eval()
    try:
        return task.validate(model)
    finally:
        model.load_state_dict(trained)
        model.train()
