"""How long whole processes take: `stnreg` beside the baseline cost ("floor") and its peers, in one run.

    python -m benchmarks.speed.run [--runs 5] [--peers NAMES] [--sizes 1mm,2mm] [--turns 0,30,120]
                                   [--parts pairs,more,refused] [--threads N] [--stages]

Inputs are those of `benchmarks.speed.inputs`, all .nii.gz. *pairs*: upright, and turned by 30 and 120 degrees, of one
person and of two. *more*: other commands and options on upright pairs. *refused*: no head, or too little of one. Every
command of a group runs once unmeasured, then in turn, so that whatever else the machine does falls on all of them; the
tables have medians of wall time, CPU time, and the largest memory of the process. Peers that are not installed are left
out, and named at the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.speed.process import ROOT, STNREG, Run, compile_as_installed, timed

HERE = Path(__file__).parent
PACKAGES = {"ants-fast": "ants", "greedy": "picsl_greedy", "elastix": "itk", "niimath": "niimath"}
SIZES, PEOPLE, TURNS = ("1mm", "2mm"), ("one", "two"), (0, 30, 120)
REFUSED = ("neck", "slab", "box", "limb")
FLOOR, OURS, ALONE = "floor", "stnreg register", "stnreg register --threads 1"
HELP, COMPLETION = "stnreg --help", "completion of --int"
PAIR_BARS = {("1mm", 30, OURS): "<= 1.5 floors, <= 600 MB", ("2mm", 0, OURS): "<= 1.0 s", ("2mm", 30, OURS): "<= 1.0 s"}
PAIR_BARS |= {("1mm", 30, peer): ">= 8 times stnreg" for peer in ("ants-fast", "niimath")}
MORE_BARS = {HELP: "<= 0.1 s", COMPLETION: "<= 0.25 s"}
REFUSAL_BAR = "<= 8 s, <= 3 times accepted"
Commands = dict[str, list[str]]


def floor(fixed: Path, moving: Path, out: Path) -> list[str]:
    """Return the command of the baseline cost."""
    return [sys.executable, str(HERE / "baseline_cost.py"), str(fixed), str(moving), f"{out}/floor.nii.gz"]


def register(fixed: Path, moving: Path, out: Path, *more: str) -> list[str]:
    """Return a command line of `stnreg register`."""
    return [STNREG, "register", str(fixed), str(moving), "-o", f"{out}/ours.nii.gz", *more]


def pair(folder: Path, size: str, people: str, degrees: int) -> tuple[Path, Path]:
    """Name a fixed and a moving image."""
    moving = f"{size}-1-{degrees}" if people == "two" else f"{size}-0-{degrees or 'again'}"
    return folder / f"{size}-0-0.nii.gz", folder / f"{moving}.nii.gz"


def pair_commands(images: tuple[Path, Path], out: Path, options: argparse.Namespace) -> Commands:
    """Name what runs on a pair, and how."""
    threads, paths = str(options.threads), [str(path) for path in images]
    peers = {
        peer: [sys.executable, str(HERE / "peer.py"), peer, *paths, f"{out}/{peer}.nii.gz", threads]
        for peer in options.peers
    }
    return {
        FLOOR: floor(*images, out),
        OURS: register(*images, out, "--threads", threads, "--json", f"{out}/ours.json"),
        ALONE: register(*images, out, "--threads", "1"),
        **peers,
    }


def more_commands(folder: Path, size: str, out: Path, threads: int) -> Commands:
    """Name the other commands and options."""
    two, many = pair(folder, size, "two", 0), ("--threads", str(threads))
    visits = [str(folder / f"{size}-0-{name}.nii.gz") for name in (0, 3, 6)]
    asked = ("_STNREG_COMPLETE=complete_bash", "COMP_WORDS=stnreg register --int", "COMP_CWORD=2")
    return {
        FLOOR: floor(*two, out),
        OURS: register(*two, out, *many),
        f"{OURS} --dtype same": register(*two, out, *many, "--dtype", "same"),
        f"{OURS} --no-refine": register(*two, out, *many, "--no-refine"),
        f"{OURS} --model separate --no-refine": register(*two, out, *many, "--model", "separate", "--no-refine"),
        f"{OURS} --deform": register(*two, out, *many, "--deform"),
        "stnreg series, 3 visits": [STNREG, "series", *visits, "-o", f"{out}/series", *many],
        **({HELP: [STNREG, "--help"], COMPLETION: ["env", *asked, STNREG]} if size == "1mm" else {}),
    }


def refused_commands(folder: Path, out: Path, threads: int) -> Commands:
    """Name what is refused, after one pair that is accepted."""
    fixed, many = folder / "whole.nii.gz", ("--threads", str(threads))
    accepted = {"accepted": register(fixed, folder / "1mm-0-0.nii.gz", out, *many)}
    return accepted | {name: register(fixed, folder / f"{name}.nii.gz", out, *many) for name in REFUSED}


def in_turn(
    commands: Mapping[str, list[str]], options: argparse.Namespace, told: Path | None = None
) -> tuple[dict[str, list[Run]], list[dict[str, float]]]:
    """Run commands in turn; also return the stages that the JSON of ours told of."""
    runs: dict[str, list[Run]] = {what: [] for what in commands}
    stages: list[dict[str, float]] = []
    for turn in range(options.runs + 1):
        for what, line in commands.items():
            run = timed(line, options.threads)
            if turn:
                runs[what].append(run)
            if turn and what == OURS and told is not None:
                seconds = json.loads(told.read_text())["timings_s"]
                stages.append(seconds | {"start, resample, write, end": run.wall_s - sum(seconds.values())})
    return runs, stages


def show(
    before: str,
    runs: Mapping[str, list[Run]],
    by: str,
    bars: Mapping[str, str],
    *,
    peers: bool = False,
) -> None:
    """Print one line a command: its medians, its time over that of `by`, and with `peers` over ours."""
    seconds = {what: median(run.wall_s for run in each) for what, each in runs.items()}
    for what, each in runs.items():
        cpu, peak = (median(getattr(run, name) for run in each) for name in ("cpu_s", "peak_mb"))
        line = [before, what, f"{seconds[what]:.2f}", f"{cpu:.2f}", f"{peak:.0f}", f"{seconds[what] / seconds[by]:.2f}"]
        line += [f"{seconds[what] / seconds[OURS]:.1f}"] if peers else []
        print("\t".join((*line, bars.get(what, ""))), flush=True)


def show_pairs(folder: Path, options: argparse.Namespace) -> None:
    """Measure and print upright and turned pairs, and the stages."""
    print("size\tpeople\tturn\twhat\twall_s\tcpu_s\tpeak_MB\tfloors\tstnregs\tbar")
    told: dict[str, list[dict[str, float]]] = {}
    for size, people, degrees in product(options.sizes, PEOPLE, options.turns):
        before = f"{size}\t{people}\t{degrees}"
        commands = pair_commands(pair(folder, size, people, degrees), folder, options)
        runs, told[before] = in_turn(commands, options, folder / "ours.json")
        bars = {what: bar for (a, b, what), bar in PAIR_BARS.items() if (a, b) == (size, degrees)}
        show(before, runs, FLOOR, bars, peers=True)
    if options.stages:
        names = [name for stages in told.values() for name in stages[0]]
        print("\nsize\tpeople\tturn\t" + "\t".join(names := list(dict.fromkeys(names))))
        for before, stages in told.items():
            print("\t".join((before, *(f"{median(s.get(name, 0.0) for s in stages):.3f}" for name in names))))


def show_more(folder: Path, options: argparse.Namespace) -> None:
    """Measure and print other commands."""
    print("\nsize\twhat\twall_s\tcpu_s\tpeak_MB\tfloors\tbar")
    for size in options.sizes:
        runs, _ = in_turn(more_commands(folder, size, folder, options.threads), options)
        show(size, runs, FLOOR, MORE_BARS)


def show_refused(folder: Path, options: argparse.Namespace) -> None:
    """Measure and print refusals."""
    print("\nsize\tmoving\twall_s\tcpu_s\tpeak_MB\taccepted\tbar")
    runs, _ = in_turn(refused_commands(folder, folder, options.threads), options)
    show("1mm", runs, "accepted", dict.fromkeys(REFUSED, REFUSAL_BAR))


PARTS = {"pairs": show_pairs, "more": show_more, "refused": show_refused}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", type=_names, default=list(PACKAGES), help="comma-separated; none for no peer")
    parser.add_argument("--sizes", type=_names, default=list(SIZES))
    parser.add_argument("--turns", type=_degrees, default=list(TURNS), help="of the pairs, degrees")
    parser.add_argument("--parts", type=_names, default=list(PARTS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--stages", action="store_true", help="print where our time goes, too")
    options = parser.parse_args()
    missing = [peer for peer in options.peers if find_spec(PACKAGES[peer]) is None]
    options.peers = [peer for peer in options.peers if peer not in missing]
    compile_as_installed()
    with tempfile.TemporaryDirectory() as name:
        # What a child's memory is measured by begins at its parent's: images are made by another process.
        subprocess.run([sys.executable, "-m", "benchmarks.speed.inputs", name], check=True, cwd=ROOT)
        for part in options.parts:
            PARTS[part](Path(name), options)
    if missing:
        print(f"\nnot installed: {', '.join(missing)}")


def _degrees(text: str) -> list[int]:
    return [int(name) for name in text.split(",")]


def _names(text: str) -> list[str]:
    return [] if text == "none" else text.split(",")


if __name__ == "__main__":
    main()
