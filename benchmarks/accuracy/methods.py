"""The methods of the accuracy benchmark, each run as a user would run it: a process of its own on files."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stnreg import __version__

OURS = {"stnreg": ["register"], "stnreg-no-refine": ["register", "--no-refine"]}
PEERS = ("greedy", "ants-fast", "elastix", "sitk-affine", "niimath")
METHODS = (*OURS, *PEERS)
Figures = dict[str, object]


def machine() -> str:
    """Describe the machine in words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line.partition(":")[2] for line in info.read_text().splitlines() if line.startswith("model name")]
        model = named[0] if named else model
    return f"{os.cpu_count()} cores of an {model.replace(',', ' ').strip()}"


class BrokenToolError(RuntimeError):
    """stnreg itself broke, which says nothing of the method that it was to run."""


def run_method(method: str, fixed: Path, moving: Path, *options: str) -> tuple[np.ndarray | None, Figures]:
    """Run one method as a user would, with one thread.

    Returns
    -------
    fixed_to_moving : (4, 4) float64 or None
        LPS mm; None where the method gave up.
    figures : dict
        Its verdict, exit status and wall seconds.

    Raises
    ------
    BrokenToolError
        If what ended is stnreg with a traceback, rather than the method.
    """
    verb = OURS.get(method, ["baseline", "--method", method])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out, document = f"{folder}/moved.nii.gz", Path(folder, "found.json")
        command = [sys.executable, "-m", "stnreg", verb[0], str(fixed), str(moving), *verb[1:]]
        command += ["-o", out, "--json", str(document), *(options or ("--threads", "1"))]
        told, figures = run_told(command, document, f"{method} on {fixed.parent}")
    return np.array(told["transform"]["fixed_to_moving_lps"]) if told else None, figures


def one_thread() -> dict[str, str]:
    """Return the environment of a process whose libraries use one thread each."""
    return os.environ | {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}


def run_told(command: list[str], document: Path, what: str) -> tuple[dict[str, Any] | None, Figures]:
    """Run a command that writes its JSON to `document`.

    Returns
    -------
    told : dict or None
        The JSON; None where the method gave up, which is printed of `what`.
    figures : dict
        Seconds, exit status, verdict, versions.

    Raises
    ------
    BrokenToolError
        If what ended is stnreg with a traceback, rather than the method.
    """
    began, worked = time.perf_counter(), children_s()
    ended = subprocess.run(command, env=one_thread(), capture_output=True, text=True, check=False)
    figures: Figures = {"seconds": time.perf_counter() - began, "cpu_s": children_s() - worked}
    figures |= {"status": ended.returncode, "version": __version__, "machine": machine()}
    figures["day"] = datetime.now(UTC).date().isoformat()
    if "Traceback (most recent call last)" in ended.stderr:
        raise BrokenToolError(ended.stderr[-2000:])
    if ended.returncode not in (0, 3):
        print(f"{what}: status {ended.returncode}\n{ended.stderr[-500:]}", file=sys.stderr)
        return None, figures
    told = json.loads(document.read_text())
    figures |= {"passed": told["verdict"]["passed"], "score": told["verdict"]["score"]}
    hashes = (told["model"]["sha256"], told["model"].get("pose_sha256"))
    figures["weights"] = "+".join(sha256[:8] for sha256 in hashes if sha256)
    return told, figures


def children_s() -> float:
    """Return the processor time of the processes that this one has run, seconds; other work does not count."""
    times = os.times()
    return times.children_user + times.children_system
