"""What a CUDA device gains, and whether it gives what the CPU gives.

    python -m benchmarks.speed.gpu [--repeats 7] [--threads N] [--pairs 24] [--pack PACK.npz] [--parts A,B]

Parts: `network` (each released network, one image or pair), `register` (a pair of heads in one process that has its
networks open, affine and with `--deform`), `process` (the same as whole processes), `batch` (`stnreg batch` of copies
of one pair) and `training` (a step of the velocity network on `--pack`, which `stnreg train --cache` makes). The heads
are those of `examples/`. Every difference has a bound, and the command fails where one is exceeded. Where there is no
CUDA device it says so, and measures nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from stnreg import register
from stnreg.core.threads import default_threads
from stnreg.geometry.affine import apply_affine
from stnreg.images.volume import load_volume
from stnreg.models.card import find
from stnreg.models.runtime import gpu_count, open_session, run_network

ROOT = Path(__file__).parents[2]
HEADS = ROOT / "examples/fixed.nii.gz", ROOT / "examples/moving.nii.gz"
NETWORKS = ("anatomy-pose", "anatomy", "velocity", "separate", "affine")
DEVICES = "cpu", "cuda"
PARTS = "network", "register", "process", "batch", "training"
BOUNDS = {"network": 2e-3, "register": 0.02, "register --deform": 0.1, "training": 2e-2}
"""Most difference from the CPU: of outputs and of losses relative, of where points land in mm, the mean over a head."""
POINTS_STEP_VOXELS = 8


@dataclass(frozen=True)
class Row:
    """What was measured, seconds on the CPU and on the GPU, and how far their results differ (None: not compared)."""

    what: str
    cpu_s: float
    gpu_s: float
    differs: float | None = None
    bound: float | None = None
    unit: str = ""

    def text(self) -> str:
        """Return the row of the table."""
        seconds = f"{self.what}\t{self.cpu_s:.3f}\t{self.gpu_s:.3f}\t{self.cpu_s / self.gpu_s:.1f}"
        return seconds if self.differs is None else f"{seconds}\t{self.differs:.2g}{self.unit}\t{self.bound:g}"


def seconds(repeats: int, call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median seconds of a call after one that is not counted, and what it returned last."""
    found, taken = call(), []
    for _ in range(repeats):
        began = time.perf_counter()
        found = call()
        taken.append(time.perf_counter() - began)
    return median(taken), found


def networks(repeats: int, threads: int) -> Iterator[Row]:
    """Run each network on random images."""
    random = np.random.default_rng(0)
    for name in NETWORKS:
        weights, taken, found = find(name), {}, {}
        given: dict[str, np.ndarray] = {}
        for device in DEVICES:
            session = open_session(weights, threads=threads, device=device)
            for one in session.get_inputs():
                shape = [n if isinstance(n, int) else 1 for n in one.shape]
                given.setdefault(one.name, random.random(shape, np.float32))
            run = partial(run_network, session, weights, given, session.get_outputs()[0].name)
            taken[device], found[device] = seconds(repeats, run)
        size = float(np.abs(found["cpu"]).max())
        differs = float(np.abs(found["cuda"] - found["cpu"]).max()) / size
        yield Row(f"network {name}", taken["cpu"], taken["cuda"], differs, BOUNDS["network"])


def points_of(fixed: Path) -> np.ndarray:
    """Return points (N, 3) LPS mm all over the head."""
    volume = load_volume(str(fixed))
    step = POINTS_STEP_VOXELS
    bright = volume.array[::step, ::step, ::step] > volume.array.mean()
    return apply_affine(volume.grid.index_to_lps, step * np.argwhere(bright)[:, ::-1].astype(float))


def registrations(repeats: int, threads: int) -> Iterator[Row]:
    """Register in one process, the networks open from the first time on."""
    points = points_of(HEADS[0])
    for what, deform in (("register", False), ("register --deform", True)):
        taken, moved = {}, {}
        for device in DEVICES:
            run = partial(register, str(HEADS[0]), str(HEADS[1]), deform=deform, device=device, threads=threads)
            taken[device], result = seconds(max(repeats // 2, 1), run)
            moved[device] = result.transform.map_points(points)
        differs = float(np.linalg.norm(moved["cuda"] - moved["cpu"], axis=1).mean())
        yield Row(f"{what}, networks open", taken["cpu"], taken["cuda"], differs, BOUNDS[what], " mm")


def timed(arguments: list[str]) -> float:
    """Return the seconds of a process; 3 says that it ran and was rejected."""
    began = time.perf_counter()
    ended = subprocess.run([sys.executable, "-m", "stnreg", *arguments], capture_output=True)
    if ended.returncode not in (0, 3):
        raise SystemExit(f"stnreg {' '.join(arguments)} ended with {ended.returncode}:\n{ended.stderr.decode()}")
    return time.perf_counter() - began


def processes(repeats: int, threads: int, folder: Path) -> Iterator[Row]:
    """Run `stnreg register` as a whole process, on files."""
    for what, more in (("register", []), ("register --deform", ["--deform"])):
        taken = {}
        for device in DEVICES:
            line = ["register", *map(str, HEADS), "-t", str(folder / f"{device}.h5"), *more]
            line += ["--device", device, "--threads", str(threads)]
            taken[device] = median(timed(line) for _ in range(max(repeats // 2, 1)))
        yield Row(f"{what}, whole process", taken["cpu"], taken["cuda"])


def batches(pairs: int, folder: Path) -> Iterator[Row]:
    """Run `stnreg batch` on copies of one pair, one worker a core on the CPU and as it chooses on the GPU."""
    table = folder / "pairs.csv"
    names = []
    for number in range(pairs):  # each with files of its own, so that nothing is encoded once for all
        own = [folder / f"{number:03d}-{head.name}" for head in HEADS]
        for head, copy in zip(HEADS, own, strict=True):
            copy.write_bytes(head.read_bytes())
        names.append(f"{number:03d},{own[0]},{own[1]}\n")
    table.write_text("id,fixed,moving\n" + "".join(names))
    taken = {d: timed(["batch", str(table), "-o", str(folder / d), "--device", d]) / pairs for d in DEVICES}
    yield Row(f"batch of {pairs}, a pair", taken["cpu"], taken["cuda"])


def training(repeats: int, pack: Path) -> Iterator[Row]:
    """Take steps of the velocity network's training from the same weights and the same seed."""
    import torch

    from stnreg.training.checkpoint import load_into, load_weights
    from stnreg.training.deformable.batch import Batch, BatchSettings, make_batch
    from stnreg.training.deformable.objective import batch_loss
    from stnreg.training.deformable.presets import PRESETS
    from stnreg.training.deformable.steps import Budget
    from stnreg.training.deformable.subjects import load_pack
    from stnreg.training.deformable.task import Run

    pairs = BatchSettings(1, 1, 0)  # what a CPU can do in a while, and without bfloat16, which it only imitates
    settings = replace(PRESETS["default"], batch=pairs, half=False)
    taken, losses, batch = {}, {}, None
    for device in DEVICES:
        where = torch.device(device)
        run = Run(load_pack(pack, where), settings, where, Budget(settings.steps, None, time.monotonic()))
        load_into(run.network, load_weights(find("velocity").path.with_suffix(".safetensors"))[0], "velocity")
        if batch is None:  # one batch for both: random numbers differ between devices
            generator = torch.Generator(where).manual_seed(1)
            batch = make_batch(run.pack, pairs, settings.network.shape, settings.network.spacing_mm, generator)
        on_device = Batch(**{name: value.to(where) for name, value in vars(batch).items()})
        with torch.no_grad():
            parts = batch_loss(run.network, on_device, run.pack, settings.loss, run.smoothness.weight, half=False)
        losses[device] = float(parts["loss"])
        taken[device], _ = seconds(1 if device == "cpu" else repeats, run.advance)
    differs = abs(losses["cuda"] - losses["cpu"]) / abs(losses["cpu"])
    yield Row("training, a step of velocity, two pairs", taken["cpu"], taken["cuda"], differs, BOUNDS["training"])


def main() -> None:
    """Print the table; fail where a difference exceeds its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    if not gpu_count():
        print("no CUDA device on this machine: nothing was measured")
        return
    name = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    print(f"{name.stdout.strip() or 'one CUDA device'}; the CPU with {options.threads} threads", flush=True)
    print("what\tcpu_s\tgpu_s\tratio\tdiffers\tbound", flush=True)
    beyond = []
    with tempfile.TemporaryDirectory() as scratch:
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "network": lambda: networks(options.repeats, options.threads),
            "register": lambda: registrations(options.repeats, options.threads),
            "process": lambda: processes(options.repeats, options.threads, Path(scratch)),
            "batch": lambda: batches(options.pairs, Path(scratch)),
            "training": lambda: training(options.repeats, options.pack) if options.pack else iter(()),
        }
        for part in options.parts.split(","):
            for row in parts[part]():
                print(row.text(), flush=True)
                if row.differs is not None and not row.differs <= row.bound:
                    beyond.append(row.what)
    if beyond:
        raise SystemExit(f"beyond its bound: {'; '.join(beyond)}")


if __name__ == "__main__":
    main()
