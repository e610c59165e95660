"""Kill a command at random moments; every output must be unchanged or complete."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
"""What a run that was ended exits with; the negative ones before the command line is up."""
STARTUP_S = 0.3
"""While it starts, the interpreter itself answers, as it likes."""

Contents = dict[str, bytes]


@dataclass(frozen=True)
class Command:
    """A command and what it writes.

    Attributes
    ----------
    line : sequence of str
        After `stnreg`; run in the folder of its outputs.
    before : sequence of str
        The same outputs, made otherwise: what lies there when it starts.
    outputs : sequence of str
        Names.
    """

    line: Sequence[str]
    before: Sequence[str]
    outputs: Sequence[str]


def apply_example(folder: Path) -> Command:
    """Return `apply-transform` on small images, which it makes; it writes two files."""
    import nibabel

    ramp = np.arange(40 * 41 * 42, dtype=np.float32).reshape(40, 41, 42)
    nibabel.save(nibabel.Nifti1Image(ramp, np.eye(4)), folder / "small.nii")
    (folder / "identity.ras").write_text("1 0 0 1.5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    inputs = [f"{folder}/small.nii", "-r", f"{folder}/small.nii", "-t", f"ras:{folder}/identity.ras"]
    line = ["apply-transform", *inputs, "-o", "out.nii.gz", "--write-composed", "out.tfm", "--threads", "1"]
    return Command(line, [*line, "--invert"], ("out.nii.gz", "out.tfm"))


def run(command: Command, moments: int, folder: Path, seed: int = 0) -> tuple[Counter, list[str]]:
    """End a command at random moments.

    Parameters
    ----------
    command : Command
    moments : int
    folder : Path
        Where it runs.
    seed : int
        Of the moments.

    Returns
    -------
    counts : Counter
        How often which signal, what it left, and how the run ended.
    faults : list of str
        What should not have been.
    """
    rng = np.random.default_rng(seed)
    old, _ = _whole_run(command.before, command.outputs, folder)
    new, duration_s = _whole_run(command.line, command.outputs, folder)
    _put(old, folder)
    writing_s = _writing_s(command.line, folder)
    counts: Counter = Counter()
    faults = []
    for moment in range(moments):
        _put(old, folder)
        number = SIGNALS[moment % len(SIGNALS)]
        after = "start" if moment % 4 == 0 else "first touch"
        seconds = rng.uniform(0, duration_s if after == "start" else writing_s)
        status = _end_after(command.line, after, seconds, number, folder)
        when = f"{number.name} {seconds:.3f} s after the {after}"
        states = {_state(folder / name, old[name], new[name]) for name in command.outputs}
        counts[f"{number.name}: {' and '.join(sorted(states))}"] += 1
        left = sorted(path.name for path in folder.iterdir() if path.name not in command.outputs)
        if "partial" in states or "missing" in states:
            faults.append(f"{when} left {states}")
        is_up = after != "start" or seconds > STARTUP_S
        if is_up and status not in (0, *STATUS[number]):
            faults.append(f"{when}: exit status {status}")
        if left and status != 0 and number != signal.SIGKILL:
            faults.append(f"{when} left {left} behind")
    last, _ = _whole_run(command.line, command.outputs, folder)
    if last != new:
        faults.append("the run after them all wrote something else")
    if left := sorted(path.name for path in folder.iterdir() if path.name not in command.outputs):
        faults.append(f"the run after them all left {left} behind")
    return counts, faults


def _whole_run(line: Sequence[str], outputs: Sequence[str], folder: Path) -> tuple[Contents, float]:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "stnreg", *line], cwd=folder, check=True, capture_output=True)
    return {name: (folder / name).read_bytes() for name in outputs}, time.perf_counter() - began


def _put(contents: Contents, folder: Path) -> None:
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _start(line: Sequence[str], folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "stnreg", *line],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell makes what it runs in the background deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _writing_s(line: Sequence[str], folder: Path) -> float:
    process = _start(line, folder)
    _await_touch(process, folder)
    began = time.perf_counter()
    process.wait()
    return time.perf_counter() - began


def _await_touch(process: subprocess.Popen, folder: Path) -> None:
    """Wait until a file in the folder is new or another, or the process ends."""

    def snapshot() -> list[tuple[str, int]]:
        return sorted((entry.name, entry.inode()) for entry in os.scandir(folder))

    before = snapshot()
    while process.poll() is None and snapshot() == before:
        time.sleep(0.001)


def _end_after(line: Sequence[str], after: str, seconds: float, number: signal.Signals, folder: Path) -> int:
    process = _start(line, folder)
    if after != "start":
        _await_touch(process, folder)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, number)
        return process.wait(120)


def _state(path: Path, old: bytes, new: bytes) -> str:
    if not path.exists():
        return "missing"
    content = path.read_bytes()
    return "new" if content == new else "old" if content == old else "partial"
