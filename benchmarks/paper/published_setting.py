"""Run the first steps of the published setting, break off half-way, go on, and see that nothing was lost.

    python -m benchmarks.paper.published_setting [--model affine|separate] [--steps 20] [--threads N] [--work DIR]
    python -m benchmarks.paper.published_setting --minutes 5 --device cuda --scans 24 --picture curves.png

The preset `paper-affine` or `paper-separate`: 170^3 voxels of 1.5 mm, batches of 4, Adam at 0.001. One CPU needs
about 24 s a step. Prints the loss of each step, and of the step at which the run was broken off as the weights in
memory and those of the resumed checkpoint give it. Fails if the two differ, or a loss is not finite.

With `--minutes` it trains for so long instead, and prints and draws how validation pairs fare.
"""

import argparse
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.common.heads import shared_folder
from stnreg.training.checkpoint import load_checkpoint
from stnreg.training.config import TrainConfig, to_dict
from stnreg.training.data import ScanList, Scans, load_scans, pack_scans, save_scans
from stnreg.training.listing import find_scans
from stnreg.training.loop import train
from stnreg.training.pair import PairTask
from stnreg.training.presets import preset
from stnreg.training.record import read_metrics

TRAINING, VALIDATION = 4, 2  # scans: a step reads no more
VALIDATE_EVERY = 25  # steps of a run by time: a published epoch has 250


class BrokenOff(PairTask):
    """The task, broken off before step `end` as by Ctrl-C; `told` keeps the loss of each step."""

    def __init__(self, end: int, config: TrainConfig, scans: Scans) -> None:
        super().__init__(config.pair, scans, seed=config.loop.seed, steps=config.loop.steps)
        self.end = end
        self.told: dict[int, float] = {}

    def loss(self, model: torch.nn.Module, step: int) -> dict[str, torch.Tensor]:
        """Return a step's loss; the loss of one step more is computed than is taken."""
        began = time.perf_counter()
        parts = super().loss(model, step)
        self.told[step] = float(parts["loss"].detach())
        print(f"step {step:3d}  loss {self.told[step]:.6f}  {time.perf_counter() - began:.1f} s forward", flush=True)
        if step == self.end:
            raise KeyboardInterrupt
        return parts


class Timed(PairTask):
    """The task, ended after some minutes as by Ctrl-C."""

    def __init__(self, minutes: float, config: TrainConfig, scans: Scans) -> None:
        super().__init__(config.pair, scans, seed=config.loop.seed, steps=config.loop.steps)
        self.end = time.monotonic() + 60 * minutes

    def loss(self, model: torch.nn.Module, step: int) -> dict[str, torch.Tensor]:
        """Return a step's loss, unless the time is over."""
        if time.monotonic() > self.end:
            raise KeyboardInterrupt
        return super().loss(model, step)


def packed_scans(path: Path, config: TrainConfig, training: int) -> Scans:
    """Pack a few heads at the published grid, once: the first ones to train on, two more for validation."""
    if not path.exists():
        found = find_scans(shared_folder() / "data/train/ixi")[: training + VALIDATION]
        splits = ("train",) * training + ("validation",) * VALIDATION
        pair = config.pair
        save_scans(path, pack_scans(ScanList(tuple(found), splits), size=pair.model.size, spacing_mm=pair.spacing_mm))
    return load_scans(path)


def run_to(end: int, config: TrainConfig, scans: Scans, folder: Path, *, resume: bool) -> dict[int, float]:
    """Train up to a step, and return the losses by step."""
    task = BrokenOff(end, config, scans)
    try:
        train(task, config.loop, folder, settings={"pair": to_dict(config.pair)}, resume=resume)
    except KeyboardInterrupt:
        print(f"broken off after {load_checkpoint(folder / 'last.ckpt')['step']} steps", flush=True)
    return task.told


def run_for(minutes: float, config: TrainConfig, scans: Scans, folder: Path) -> None:
    """Train for some minutes and print how the validation pairs fare."""
    config = replace(config, loop=replace(config.loop, validate_every=VALIDATE_EVERY, log_every=5))
    began = time.perf_counter()
    with suppress(KeyboardInterrupt):
        train(Timed(minutes, config, scans), config.loop, folder, settings={"pair": to_dict(config.pair)})
    steps = load_checkpoint(folder / "last.ckpt")["step"]
    found: dict[int, dict[str, float]] = {}
    for step, split, name, value in read_metrics(folder / "metrics.csv"):
        if split == "validation":
            found.setdefault(step, {})[name] = value
    print("mean squared error of validation pairs, one pass; and of one person's, mm")
    print(f"{'step':>5s} {'two people':>11s} {'one person':>11s} {'error_mm':>9s}")
    first = next(iter(found.values()))
    before = [first[f"{name}_before"] for name in ("mse_two", "mse_same", "error_mm")]
    for step, row in {0: dict(zip(("mse_two", "mse_same", "error_mm"), before, strict=True)), **found}.items():
        print(f"{step:5d} {row['mse_two']:11.5f} {row['mse_same']:11.5f} {row['error_mm']:9.2f}")
    device = torch.cuda.get_device_name() if config.loop.device == "cuda" else "CPU"
    print(f"{steps} steps of {config.pair.model.size}^3, batch {config.pair.batch}, {device}: "
          f"{(time.perf_counter() - began) / steps:.2f} s a step; {steps / config.loop.steps_per_epoch:.2f} of "
          f"{config.loop.epochs} epochs")  # fmt: skip


def main() -> None:
    """Train, break off, go on, compare; or train for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("affine", "separate"), default="affine")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--precision", choices=("bf16", "f32"), default="f32", help="a CPU without bf16 is faster in f32"
    )
    parser.add_argument("--work", type=Path, default=Path("build/published"))
    parser.add_argument("--minutes", type=float, help="train for so long and show the curve")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--scans", type=int, default=TRAINING, help="scans to train on")
    parser.add_argument("--picture", type=Path, help="PNG of the curves, with --minutes")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps: at least 2, to be broken off in between")
    config = preset(f"paper-{options.model}")
    loop = replace(config.loop, threads=options.threads, precision=options.precision, device=options.device)
    config = replace(config, loop=loop)
    folder = options.work / options.model
    shutil.rmtree(folder, ignore_errors=True)
    scans = packed_scans(options.work / f"scans-{options.scans}.npz", config, options.scans)
    if options.minutes is not None:
        run_for(options.minutes, config, scans, folder)
        if options.picture:
            shutil.copyfile(folder / "curves.png", options.picture)
        return
    half = options.steps // 2
    began = time.perf_counter()
    first = run_to(half, config, scans, folder, resume=False)
    second = run_to(options.steps, config, scans, folder, resume=True)
    seconds = time.perf_counter() - began
    print(f"step {half} before and after: {first[half]:.9g} {second[half]:.9g}")
    if first[half] != second[half]:
        raise SystemExit("the resumed run takes another step")
    if load_checkpoint(folder / "last.ckpt")["step"] != options.steps:
        raise SystemExit("the run is not where it should be")
    print(f"{options.steps} steps of {config.pair.model.size}^3, batch {config.pair.batch}, broken off and resumed: "
          f"the same step; {seconds / options.steps:.1f} s a step")  # fmt: skip


if __name__ == "__main__":
    main()
