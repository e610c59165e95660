"""How long whole processes take: `stnreg register` beside the baseline cost ("floor") and its peers, in one run.

    python -m benchmarks.speed.run [--runs 5] [--peers ants-fast,greedy,elastix] [--sizes 1mm,2mm] [--threads N]
                                   [--stages]

The pairs: two whole heads at 1 mm, 256^3, int16 (`dev/ds000011`, resampled once), and two at 2 mm, 120x120x90
(`dev/ixi`), all .nii.gz. Every command runs once unmeasured, then in turn, so that whatever else the machine does falls
on all of them; the table has medians of wall time, CPU time, and the largest memory of the process.
"""

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = "ants-fast,greedy,elastix"
FLOOR, OURS, HELP, COMPLETION = "floor", "stnreg register", "stnreg --help", "completion of --int"
BARS = {OURS: "<= 1.8 floors, <= 900 MB", HELP: "<= 0.25 s", COMPLETION: "<= 0.25 s"}


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


# What a child's memory is measured by begins at its parent's: nothing large is loaded here. Heads are made by another.
def make_whole_heads(folder: str) -> None:
    """Write two heads of 256^3 voxels of 1 mm."""
    import numpy as np

    from benchmarks.common.heads import shared_folder
    from stnreg.geometry.grid import Grid
    from stnreg.images.volume import Volume, load_volume, save_volume
    from stnreg.resampling.resample import resample

    for name in ("sub-01", "sub-02"):
        scan = load_volume(shared_folder() / f"data/dev/ds000011/{name}_T1w.nii.gz")
        direction = np.diag([-1.0, -1.0, 1.0])
        grid = Grid.from_parts((256,) * 3, (1.0,) * 3, scan.grid.center_lps - direction @ np.full(3, 127.5), direction)
        voxels = np.rint(resample(scan.array, scan.grid, grid, np.eye(4))).astype(np.int16)
        save_volume(Path(folder, f"{name}.nii.gz"), voxels, like=Volume(voxels, grid), dtype="same")


def whole_heads(folder: Path) -> tuple[Path, Path]:
    """Have two heads of 256^3 voxels of 1 mm written, and name them."""
    code = f"from benchmarks.speed.run import make_whole_heads; make_whole_heads({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return folder / "sub-01.nii.gz", folder / "sub-02.nii.gz"


def small_heads(folder: Path) -> tuple[Path, Path]:
    """Name two heads of 120x120x90 voxels of 2 mm."""
    shared = Path(os.environ.get("STNREG_SHARED", ROOT.parent / "shared"))
    first, second, *_ = sorted((shared / "data/dev/ixi").glob("*_T1.nii.gz"))
    return first, second


PAIRS = {"1mm": whole_heads, "2mm": small_heads}


def commands(size: str, pair: tuple[Path, Path], out: Path, options: argparse.Namespace) -> Iterator[tuple[str, list]]:
    """Name what runs on a pair, and how."""
    python, threads = sys.executable, str(options.threads)
    stnreg = [str(Path(python).with_name("stnreg"))]
    images = [str(path) for path in pair]
    register = [*stnreg, "register", *images, "-o", f"{out}/ours.nii.gz", "--threads", threads]
    yield FLOOR, [python, str(HERE / "baseline_cost.py"), *images, f"{out}/floor.nii.gz"]
    yield OURS, [*register, "--json", f"{out}/ours.json"]
    yield f"{OURS} --dtype same", [*register, "--dtype", "same"]
    yield f"{OURS} --no-refine", [*register, "--no-refine"]
    for peer in filter(None, options.peers.split(",")):
        yield peer, [python, str(HERE / "peer.py"), peer, *images, f"{out}/{peer}.nii.gz", threads]
    if size == "1mm":
        yield HELP, [*stnreg, "--help"]
        asked = ("_STNREG_COMPLETE=complete_bash", "COMP_WORDS=stnreg register --int", "COMP_CWORD=2")
        yield COMPLETION, ["env", *asked, *stnreg]


def measure(size: str, options: argparse.Namespace) -> tuple[dict[str, list[Run]], list[dict[str, float]]]:
    """Run everything on one pair in turn; also return the stages that our JSON told of."""
    stages: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = dict(commands(size, PAIRS[size](folder), folder, options))
        runs: dict[str, list[Run]] = {what: [] for what in lines}
        for turn in range(options.runs + 1):
            for what, line in lines.items():
                run = timed(line, options.threads)
                if turn:
                    runs[what].append(run)
                if turn and what == OURS:
                    told = json.loads((folder / "ours.json").read_text())["timings_s"]
                    stages.append(told | {"start, resample, write, end": run.wall_s - sum(told.values())})
    return runs, stages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", default=PEERS)
    parser.add_argument("--sizes", default=",".join(PAIRS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--stages", action="store_true", help="print where our time goes, too")
    options = parser.parse_args()
    compile_as_installed()
    print("size\twhat\twall_s\tcpu_s\tpeak_MB\tfloors\tbar")
    told = {}
    for size in options.sizes.split(","):
        runs, told[size] = measure(size, options)
        floor = median(r.wall_s for r in runs[FLOOR])
        for what, each in runs.items():
            wall, cpu, peak = (median(getattr(run, name) for run in each) for name in ("wall_s", "cpu_s", "peak_mb"))
            bar = BARS.get(what, "") if size == "1mm" else ""
            print(f"{size}\t{what}\t{wall:.2f}\t{cpu:.2f}\t{peak:.0f}\t{wall / floor:.2f}\t{bar}")
    if options.stages:
        print("\nsize\tstage\twall_s")
        for size, stages in told.items():
            for stage in stages[0]:
                print(f"{size}\t{stage}\t{median(s[stage] for s in stages):.3f}")


if __name__ == "__main__":
    main()
