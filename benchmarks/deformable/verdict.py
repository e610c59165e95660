"""Whether the verdict tells a deformed registration that failed from one that is right, on heads no one tuned with.

    python -m benchmarks.deformable.verdict [--pairs N] [--csv FILE] [--show]

Pairs of two `dev` people are registered with `--deform` from the network's estimate, and, unrefined, from initial
transforms that are wrong: shifted by 6 to 25 mm, turned by 8 to 40 degrees or scaled by 1.15 to 1.5. A result is right
whose label Dice is at most 0.03 below that from the estimate, and failed where it is more than 0.05 below: the
deformation mends much of a wrong start. Between the two it counts for neither. Limits were set on other heads
(`stnreg calibrate`). Rows that are in the CSV are not measured again.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import stnreg
from benchmarks.accuracy.pairs import ROWS, dev_heads
from benchmarks.accuracy.results import RESULTS, Line, read, write
from benchmarks.common.heads import Head, label_dice
from stnreg.geometry.affine import compose
from stnreg.images.volume import Volume
from stnreg.registration.deformable.quality import assess_deformation
from stnreg.registration.deformable.velocity import find_velocity_network
from stnreg.registration.quality import Verdict
from stnreg.registration.result import RegistrationResult
from stnreg.training.deformable.outcomes import REGISTERED, WRONG, is_right, wrong_move
from stnreg.transforms.io.files import save_transform

CSV = RESULTS / "deformable-verdict.csv"
COLUMNS = ("pair", "start", "dice", "right", "passed", "affine_passed", "deformation_passed", "log_jacobian_sd",
           "folds", "agreement_before", "agreement_after", "reasons")  # fmt: skip
PAIRS = 12


def outcomes(number: int) -> Iterator[dict[str, Any]]:
    """Register one pair from the estimate and from three wrong starts."""
    judge: Any = ROWS["straight"].pair(number).judge
    heads: dict[str, Head] = {head.name: head for head in dev_heads()}
    fixed, moving = heads[judge.fixed], heads[judge.moving]
    images = [stnreg.encode(Volume(head.image, head.grid), threads=1) for head in (fixed, moving)]
    best = stnreg.register(*images, deform=True, threads=1)
    dice = label_dice(fixed, moving, best.transform)
    yield {"pair": number, "start": REGISTERED, **_figures(best, dice, dice)}
    rng = np.random.default_rng([number, 7])
    for kind in WRONG:
        start = compose(best.fixed_to_moving, wrong_move(kind, fixed.grid.center_lps, rng))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "start.tfm"
            save_transform(path, start)
            found = stnreg.register(*images, init=str(path), refine=False, deform=True, threads=1)
        mark = label_dice(fixed, moving, found.transform)
        yield {"pair": number, "start": kind, **_figures(found, mark, dice)}


def _figures(found: RegistrationResult, dice: float, best: float) -> dict[str, Any]:
    deformation = found.deformation
    assert deformation is not None
    limits = find_velocity_network("velocity", 1, "cpu").limits
    alone = assess_deformation(Verdict(True, found.verdict.score, ()), deformation, limits)
    return {
        "dice": dice,
        "right": is_right(dice, best),
        "passed": bool(found.verdict.passed),
        "affine_passed": len(found.verdict.reasons) == len(alone.reasons),
        "deformation_passed": bool(alone.passed),
        "log_jacobian_sd": deformation.log_jacobian_sd,
        "folds": max(deformation.folds_central, deformation.folds_digital),
        "agreement_before": deformation.agreement_before,
        "agreement_after": deformation.agreement_after,
        "reasons": "; ".join(found.verdict.reasons),
    }


def show(lines: list[Line]) -> None:
    """Print how many right ones are accepted, and how many failed ones are rejected."""
    print(f"{len({line['pair'] for line in lines})} pairs of two people, {len(lines)} deformed registrations\n")
    print("| start | right | failed | between | right, accepted | failed, rejected | by the deformation alone |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in (REGISTERED, *WRONG, ""):
        here = [line for line in lines if kind in ("", line["start"])]
        right, failed = ([line for line in here if line["right"] == wanted] for wanted in ("True", "False"))
        accepted = _count(right, "passed", "True")
        print(
            f"| {kind or 'all'} | {len(right)} | {len(failed)} | {len(here) - len(right) - len(failed)} | {accepted} "
            f"| {_count(failed, 'passed', 'False')} | {_count(failed, 'deformation_passed', 'False')} |"
        )


def _count(lines: list[Line], column: str, value: str) -> str:
    count = sum(line[column] == value for line in lines)
    return f"{count} ({100 * count / len(lines):.1f} %)" if lines else ""


def main() -> None:
    """Measure what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--show", action="store_true", help="only print what is in the CSV")
    options = parser.parse_args()
    there = {line["pair"] for line in read(options.csv)}
    for number in () if options.show else range(options.pairs):
        if str(number) not in there:
            rows = [{name: str(row[name]) for name in COLUMNS} for row in outcomes(number)]
            write(options.csv, [*read(options.csv), *rows], COLUMNS)
    show(read(options.csv))


if __name__ == "__main__":
    main()
