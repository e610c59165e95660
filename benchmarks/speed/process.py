"""One process, measured: seconds on the wall, seconds of all cores, memory at most. Loads nothing large itself."""

import compileall
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
STNREG = str(Path(sys.executable).with_name("stnreg"))


@dataclass(frozen=True)
class Run:
    """One process: seconds on the wall, seconds of all cores, MB at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def timed(command: list[str], threads: int) -> Run:
    """Run a command to its end and measure it; what it says is dropped, its failure is ours."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: done, but rejected by the verdict
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    to_mb = 1e-6 if sys.platform == "darwin" else 1.024e-3
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * to_mb)


def compile_as_installed() -> None:
    """Compile the package, as an installation does and a checkout may be kept from doing."""
    found = find_spec("stnreg")
    for folder in (found.submodule_search_locations if found else None) or ():
        compileall.compile_dir(folder, quiet=2)
