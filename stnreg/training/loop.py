"""The training loop of any `TrainingTask`: learning rate, step, log, validate, checkpoint."""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stnreg.errors import DataError, UsageProblem
from stnreg.training.checkpoint import best_weights, load_checkpoint, load_into, save_checkpoint
from stnreg.training.config import LoopConfig, to_dict
from stnreg.training.processes import Processes, choose_device, from_environment
from stnreg.training.progress import Progress
from stnreg.training.record import Record

ALONE = Processes()


class TrainingTask(Protocol):
    """The interface of a training task."""

    name: str

    def build(self) -> nn.Module:
        """Return a new network."""

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return scalars; `loss` is minimised. The batch is a pure function of seed and step."""

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return metrics; `score` is lower for better weights."""


def learning_rate(config: LoopConfig, step: int) -> float:
    """Return the learning rate at a step of the schedule."""
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


@dataclass
class State:
    """The state of a run, stored in every checkpoint.

    Attributes
    ----------
    network : nn.Module
    optimizer : torch.optim.Optimizer
    ema : dict of Tensor or None
        Exponential moving average of the weights.
    step : int
        Steps taken.
    best : float
        Lowest validation score so far.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    ema: dict[str, Tensor] | None
    step: int = 0
    best: float = math.inf

    def content(self, **more: Any) -> dict[str, Any]:
        """Return the content of a checkpoint: tensors and plain values."""
        return {
            "model": self.network.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
            **more,
        }


def begin(
    task: TrainingTask, config: LoopConfig, device: torch.device, last: Path | None, start: dict[str, Tensor] | None
) -> State:
    """Build the network and the optimiser of a task: new, from given weights, or from the checkpoint `last`."""
    torch.manual_seed(config.seed)
    network = task.build().to(device)
    if last is None and start is not None:
        load_into(network, start, "the weights to start from")
    ema = {name: value.clone() for name, value in network.state_dict().items()} if config.ema else None
    state = State(network, torch.optim.Adam(network.parameters(), lr=config.learning_rate), ema)
    if last is not None:
        content = load_checkpoint(last, str(device))
        load_into(network, content["model"], str(last))
        state.optimizer.load_state_dict(content["optimizer"])
        state.ema, state.step, state.best = content["ema"], content["step"], content["best"]
    return state


def train(
    task: TrainingTask,
    config: LoopConfig,
    run: Path,
    *,
    settings: dict[str, Any],
    resume: bool = False,
    start: dict[str, Tensor] | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Train a task and return the path of the best checkpoint.

    Parameters
    ----------
    task : TrainingTask
    config : LoopConfig
    run : Path
        Folder of the run: `last.ckpt`, `best.ckpt`, `metrics.csv`, `curves.png`.
    settings : dict
        Settings that rebuild the task, plain values; stored in the checkpoints with `loop`.
    resume : bool
        Resume from `last.ckpt`; the next step is the same as without the interruption.
    start : dict of Tensor, optional
        Initial weights.
    processes : Processes
        Processes among which batches are divided.

    Raises
    ------
    DataError
        If there is nothing to resume, the initial weights do not fit, or the loss is not finite.
    UsageProblem
        If the folder has a run already and `resume` is False, or several processes were started for a task that
        does not support them.
    """
    if from_environment().count != processes.count:
        raise UsageProblem(f"{task.name}: trains in one process; start it without torchrun")
    last_path, best_path = run / "last.ckpt", run / "best.ckpt"
    if last_path.exists() and not resume:
        raise UsageProblem(f"{run}: holds a run already; use another folder, or resume it", argument="resume")
    device = choose_device(config.device, processes)
    if config.threads:
        torch.set_num_threads(config.threads)
    state = begin(task, config, device, last_path if resume else None, start)
    processes.wait()  # until all processes have read files that the first one may overwrite
    model = processes.wrap(state.network, device)
    kept = {"task": task.name, "config": {**settings, "loop": to_dict(config)}}
    record = Record(run, state.step if resume else None) if processes.is_first else None
    with Progress(task.name, state.step, config.steps, quiet=not processes.is_first) as progress:
        is_whole = True  # whether weights, optimiser and step are consistent
        try:
            while state.step < config.steps:
                rate = learning_rate(config, state.step)
                began = time.perf_counter()
                figures = backward(task, model, config, state.step, device)
                figures = processes.mean(figures, device)
                if not math.isfinite(figures["loss"]):
                    raise DataError(f"{run}: the loss at step {state.step} is {figures['loss']}; lower the rate")
                is_whole = False
                move_weights(state, config, rate)
                is_whole = True

                progress.step(state.step, figures["loss"], time.perf_counter() - began)
                is_end = state.step == config.steps
                if record and (state.step % config.log_every == 0 or is_end):
                    record.add(state.step, "train", {**figures, "learning_rate": rate, "step_s": progress.step_s})
                    progress.log(state.step, figures)
                if state.step % config.validate_every == 0 or is_end:
                    if record:
                        scores = validate(task, state.network, state.ema)
                        record.add(state.step, "validation", scores)
                        record.draw()
                        progress.log(state.step, scores)
                        if scores["score"] < state.best:
                            state.best = scores["score"]
                            save_checkpoint(best_path, state.content(**kept, scores=scores))
                    processes.wait()
                if record and (state.step % config.checkpoint_every == 0 or is_end):
                    save_checkpoint(last_path, state.content(**kept))
        except (KeyboardInterrupt, SystemExit):
            if is_whole and record:  # otherwise keep the last checkpoint
                save_checkpoint(last_path, state.content(**kept))
            raise
        finally:
            if record:
                record.close()
    return best_path


def backward(
    task: TrainingTask, model: nn.Module, config: LoopConfig, step: int, device: torch.device
) -> dict[str, float]:
    """Compute the gradients of one step, and return its metrics."""
    half = torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()
    with half:
        losses = task.loss(model, step)
    model.zero_grad(set_to_none=True)
    losses["loss"].backward()
    if config.clip:
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    return {name: float(value.detach()) for name, value in losses.items()}


def move_weights(state: State, config: LoopConfig, rate: float) -> None:
    """Take one step of the optimiser, and update the moving average."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()
    update_ema(state.ema, state.network, config.ema, state.step)
    state.step += 1


@torch.no_grad()
def update_ema(ema: dict[str, Tensor] | None, model: nn.Module, keep: float, step: int) -> None:
    """Update the exponential moving average of the weights in place; with a lower decay in early steps."""
    if ema is None:
        return
    keep = min(keep, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            ema[name].lerp_(value, 1 - keep)
        else:
            ema[name].copy_(value)


@torch.no_grad()
def validate(task: TrainingTask, model: nn.Module, ema: dict[str, Tensor] | None) -> dict[str, float]:
    """Validate the moving average of the weights in float32; the model is restored afterwards."""
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best_weights({"ema": ema, "model": trained}))
    model.eval()
    try:
        return task.validate(model)
    finally:
        model.load_state_dict(trained)
        model.train()
