"""The refinement across modalities and between people, on validation alone. Run from the repository root.

    python -m benchmarks.modalities.run [--rows ct,epi,ixi] [--pairs 30] [--peers greedy,elastix] [--csv FILE] [--again]

One person: a painted T1 to a painted image of another kind (`kinds.py`), the distance from the true map over the brain.
Two people (`people.py`): label Dice. Every pair is registered with and without refinement. A line per pair and method
is added to the CSV as soon as it is there, and what is there is not run again. `modalities.tables` prints it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import PEERS, machine, run_method
from benchmarks.accuracy.results import RESULTS, append, read, write
from benchmarks.common.heads import label_dice
from benchmarks.common.painted import VALIDATION_ANATOMIES
from benchmarks.modalities.kinds import KINDS, kind_pair
from benchmarks.modalities.people import ROWS as PEOPLE
from stnreg import __version__
from stnreg.geometry.affine import mean_error_mm
from stnreg.images.volume import Volume, save_volume
from stnreg.registration.encoding import encode
from stnreg.registration.register import register

COLUMNS = ("row", "pair", "method", "error_mm", "dice", "passed", "score", "same_person", "similarity", "dof",
           "correlation", "cpu_s", "version", "machine")  # fmt: skip
OURS = {"stnreg": True, "stnreg-no-refine": False}  # whether it refines
PAIRS = 30  # of each kind
Figures = dict[str, object]
Judge = Callable[[np.ndarray], Figures]


def load_pair(row: str, number: int) -> tuple[Volume, Volume, Judge]:
    """Make a pair, and what it is measured with."""
    if row in PEOPLE:
        fixed, moving = PEOPLE[row]()[number]()
        volumes = Volume(fixed.image, fixed.grid), Volume(moving.image, moving.grid)
        return *volumes, lambda found: {"dice": label_dice(fixed, moving, found)}
    count = len(VALIDATION_ANATOMIES)
    pair = kind_pair(row, VALIDATION_ANATOMIES[number % count], number // count)
    volumes = Volume(pair.fixed.image, pair.fixed.grid), Volume(pair.moving.image, pair.moving.grid)
    return *volumes, lambda found: {"error_mm": mean_error_mm(found, pair.fixed_to_moving, pair.points)}


def pairs_of(row: str, wanted: int) -> int:
    """Return how many pairs of a row are run."""
    return len(PEOPLE[row]()) if row in PEOPLE else wanted


def ours(fixed: Volume, moving: Volume, methods: list[str], judge: Judge) -> dict[str, Figures]:
    """Register a pair with and without refinement, each image encoded once."""
    encoded = [encode(image, threads=1, device="cpu") for image in (fixed, moving)]
    found = {}
    for method in methods:
        began = time.process_time()
        result = register(*encoded, refine=OURS[method], threads=1, device="cpu")
        figures: Figures = {"cpu_s": time.process_time() - began, "passed": result.verdict.passed}
        figures |= {"score": result.verdict.score, "dof": result.dof} | judge(result.fixed_to_moving)
        if result.refined:
            figures |= {"same_person": result.refined.same_person, "similarity": result.refined.similarity}
            figures["correlation"] = result.refined.local_correlation
        found[method] = figures
    return found


def peer(method: str, fixed: Volume, moving: Volume, judge: Judge) -> Figures:
    """Run a peer on the same pair, as a process of its own on files."""
    with tempfile.TemporaryDirectory(prefix="bench-modalities-") as folder:
        paths = Path(folder, "fixed.nii.gz"), Path(folder, "moving.nii.gz")
        for path, image in zip(paths, (fixed, moving), strict=True):
            save_volume(path, image.array.astype(np.float32), like=image)
        found, figures = run_method(method, *paths)
    return {"cpu_s": figures["cpu_s"]} | ({} if found is None else judge(found))


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join((*KINDS, *PEOPLE)))
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of each kind; two people have their own number")
    parser.add_argument("--peers", default="", help=f"beside stnreg, for one person: {', '.join(PEERS)}")
    parser.add_argument("--csv", type=Path, default=RESULTS / "modalities.csv")
    parser.add_argument("--again", action="store_true", help="forget what stnreg found in these rows first")
    options = parser.parse_args()
    rows, peers = options.rows.split(","), [p for p in options.peers.split(",") if p]
    if unknown := [r for r in rows if r not in KINDS and r not in PEOPLE] + [p for p in peers if p not in PEERS]:
        parser.error(f"unknown {', '.join(unknown)}; rows {', '.join((*KINDS, *PEOPLE))}; peers {', '.join(PEERS)}")
    lines = [r for r in read(options.csv) if not (options.again and r["method"] in OURS and r["row"] in rows)]
    write(options.csv, lines, COLUMNS)
    done = {(r["row"], r["pair"], r["method"]) for r in lines}
    for row in rows:
        for number in range(pairs_of(row, options.pairs)):
            wanted = [m for m in (*OURS, *(peers if row in KINDS else ())) if (row, str(number), m) not in done]
            if not wanted:
                continue
            fixed, moving, judge = load_pair(row, number)
            found = ours(fixed, moving, [m for m in wanted if m in OURS], judge)
            found |= {method: peer(method, fixed, moving, judge) for method in wanted if method in PEERS}
            for method, figures in found.items():
                told = {"row": row, "pair": number, "method": method, "version": __version__, "machine": machine()}
                append(options.csv, told | figures, COLUMNS)
                shown = {k: v for k, v in figures.items() if k in ("error_mm", "dice", "similarity")}
                print(row, number, method, shown, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
