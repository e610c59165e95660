"""Related methods, small and trained here, beside stnreg's own deformation: label Dice, folds, strain, time.

    python -m benchmarks.paper.related measure [--pairs 60] [--methods A,B] [--again A,B]
    python -m benchmarks.paper.related show

The pairs are `people` of `benchmarks.deformable.run`: two `dev` heads, straight. Every method runs in memory with one
thread. Lines that are in `benchmarks/results/related.csv` are not measured again, so that a run can be stopped and
continued. The networks lie in `weights/related`; `docs/paper.md` has the commands that train them.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import Figures, machine
from benchmarks.accuracy.results import RESULTS, Line, append, numbers, read, write
from benchmarks.deformable.pairs import ROWS, DeformPair
from benchmarks.deformable.run import strain
from benchmarks.paper.related_methods import METHODS, OURS, Prepared, prepare, run
from stnreg import __version__
from stnreg.evaluation.bootstrap import bootstrap_mean
from stnreg.transforms.affine import Affine

ROW, PAIRS = "people", 60
TABLE = RESULTS / "related.csv"
COLUMNS = ("pair", "method", "dice_start", "dice", "folds_central", "folds_digital", "folded_pct", "log_jacobian_sd",
           "largest_mm", "cpu_s", "version", "weights", "day", "machine")  # fmt: skip
HEADS = ("method", "pairs", "from", "label Dice", "less stnreg's", "pairs that fold", "voxels that fold", "folded",
         "SD log J", "processor s")  # fmt: skip


def measure_pair(method: str, pair: DeformPair, prepared: Prepared) -> Figures:
    """Run a method, and judge what it found."""
    found, seconds, sha256 = run(method, prepared)
    return {
        "dice_start": pair.truth.judge(Affine(found.affine))["dice"],
        "dice": pair.truth.judge(found.transform)["dice"],
        **strain(found, pair.truth),
        "largest_mm": found.warp.largest_mm(),
        "cpu_s": seconds,
        "version": __version__,
        "weights": sha256[:8],
        "day": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
    }


def measure(options: argparse.Namespace) -> None:
    """Measure what is not in the CSV yet."""
    again = options.again.split(",") if options.again else []
    lines = [line for line in read(options.csv) if line["method"] not in again]
    if again or not options.csv.exists():
        write(options.csv, lines, COLUMNS)
    done = {(line["pair"], line["method"]) for line in lines}
    for number in range(options.pairs):
        wanted = [m for m in options.methods.split(",") if (str(number), m) not in done]
        if not wanted:
            continue
        pair = ROWS[ROW].pair(number)
        prepared = prepare(pair.fixed, pair.moving)
        for method in wanted:
            figures = measure_pair(method, pair, prepared)
            append(options.csv, {"pair": number, "method": method} | figures, COLUMNS)
            print(number, method, f"{figures['dice_start']:.4f} {figures['dice']:.4f}", file=sys.stderr, flush=True)


def table(lines: list[Line]) -> list[str]:
    """Return the table as lines of markdown."""
    ours = {line["pair"]: float(line["dice"]) for line in lines if line["method"] == OURS}
    body = []
    for method in METHODS:
        mine = [line for line in lines if line["method"] == method]
        if not mine:
            continue
        central, digital = numbers(mine, "folds_central"), numbers(mine, "folds_digital")
        body.append(
            [
                f"`{method}`",
                str(len(mine)),
                f"{numbers(mine, 'dice_start').mean():.4f}",
                f"{numbers(mine, 'dice').mean():.4f}",
                "" if method == OURS else difference(mine, ours),
                f"{int((central > 0).sum())}, {int((digital > 0).sum())}",
                f"{central.mean():.0f}, {digital.mean():.0f}",
                f"{numbers(mine, 'folded_pct').mean():.2g} %",
                f"{np.nanmean(numbers(mine, 'log_jacobian_sd')):.3f}",
                f"{np.median(numbers(mine, 'cpu_s')):.1f}",
            ]
        )
    widths = [max(len(row[k]) for row in (HEADS, *body)) for k in range(len(HEADS))]
    ruled = [HEADS, ["-" * w for w in widths], *body]
    return ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in ruled]


def difference(mine: list[Line], ours: dict[str, float]) -> str:
    """Say by how much a method differs from ours on the pairs that both ran, with a 95 % interval."""
    both = [float(line["dice"]) - ours[line["pair"]] for line in mine if line["pair"] in ours]
    if not both:
        return ""
    mean, low, high, _ = bootstrap_mean(np.array(both))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def show(options: argparse.Namespace) -> None:
    """Print the table."""
    lines = read(options.csv)
    if not lines:
        raise SystemExit(f"{options.csv}: nothing there yet; run `python -m benchmarks.paper.related measure`")
    print(*table(lines), sep="\n")
    days, machines = (sorted({line[name] for line in lines}) for name in ("day", "machine"))
    print(f"\n{' to '.join(dict.fromkeys((days[0], days[-1])))}; {'; '.join(machines)}; stnreg {lines[-1]['version']}.")


def main() -> None:
    """Measure or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("--pairs", type=int, default=PAIRS)
    measuring.add_argument("--methods", default=",".join(METHODS))
    measuring.add_argument("--again", default="", metavar="METHOD,...", help="forget what these found first")
    showing = verbs.add_parser("show")
    for verb in (measuring, showing):
        verb.add_argument("--csv", type=Path, default=TABLE)
    options = parser.parse_args()
    measure(options) if options.verb == "measure" else show(options)


if __name__ == "__main__":
    main()
