"""The tables of `benchmarks.accuracy.run`, from its CSV, as markdown.

    python -m benchmarks.accuracy.tables [CSV] [--rows A,B] [--short] [--png FILE]

Known truth: distance from the true map over the brain, mm: mean over the brain of each pair, then over pairs. Two
people: mean label Dice, and how far it is from the oracle's (the least-squares affine on the true label centroids).
`minus the best peer's` is the mean paired difference to the other tool with the best figure (median error, mean Dice)
on the pairs both ran, with a 95 % bootstrap interval. `failed`: above 5 mm, or a Dice below 0.6 of the oracle's, or no
answer. `rejected`: by the tool itself, exit status 3; `undetected`: failed and not rejected (a peer has no verdict of
its own). Seconds are medians of whole processes, one thread each, and in brackets of their processor time, which other
work on the machine does not stretch. `--short` prints one table of all rows instead, a line per tool.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import METHODS, OURS
from benchmarks.accuracy.pairs import ROWS
from benchmarks.accuracy.picture import draw
from benchmarks.accuracy.results import RESULTS, Line, failed, figure, is_people, numbers, read
from stnreg.evaluation.bootstrap import bootstrap_mean

NEAR_MM = 3.0
TOOLS = {
    "stnreg": "stnreg",
    "greedy": "Greedy",
    "ants-fast": "ANTs (AffineFast)",
    "elastix": "elastix",
    "sitk-affine": "SimpleITK",
    "niimath": "niimath",
}
SHORT = {"straight": "two people", "turned": "two people, one rotated", "known": "one person"}


def best_peer(row: list[Line]) -> str | None:
    """Name the other tool with the best figure in a row: mean Dice, or median error."""
    marks = {}
    for method in (m for m in METHODS if m not in OURS):
        mine = [line for line in row if line["method"] == method]
        if mine:
            marks[method] = -figure(mine).mean() if is_people(row) else float(np.median(figure(mine)))
    return min(marks, key=lambda m: marks[m]) if marks else None


def against(mine: list[Line], peer: list[Line], digits: int) -> str:
    """Say by how much two methods differ on the pairs that both ran and answered."""
    theirs = dict(zip((line["pair"] for line in peer), figure(peer), strict=True))
    difference = np.array(
        [v - theirs[line["pair"]] for line, v in zip(mine, figure(mine), strict=True) if line["pair"] in theirs]
    )
    mean, low, high, _ = bootstrap_mean(difference)
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def table(name: str, row: list[Line]) -> list[str]:
    """Return one table as lines of markdown."""
    people = is_people(row)
    if people:
        heads = ["method", "pairs", "label Dice", "minus the oracle's", "minus the best peer's", "failed"]
    else:
        heads = [
            "method",
            "pairs",
            "mean mm",
            "median",
            "95 %",
            "worst",
            "within 3 mm",
            "minus the best peer's",
            "failed",
        ]
        heads += ["volume %"] if name == "loss" else []
    heads += ["undetected", "rejected", "seconds"]
    peer = best_peer(row)
    of_peer = [line for line in row if line["method"] == peer]
    body = []
    for method in METHODS:
        mine = [line for line in row if line["method"] == method]
        if not mine:
            continue
        values, is_failed = figure(mine), failed(mine)
        cells = [f"`{method}`", str(len(mine))]
        if people:
            less, low, high, _ = bootstrap_mean(values - numbers(mine, "oracle", 0.0))
            cells += [f"{values.mean():.4f}", f"{less:+.4f} [{low:+.4f}, {high:+.4f}]"]
        else:
            cells += [f"{v:.3f}" for v in (values.mean(), np.median(values), _percentile(values), values.max())]
            cells += [str(int((values <= NEAR_MM).sum()))]
        cells += [
            "" if method == peer or not of_peer else against(mine, of_peer, 4 if people else 3),
            str(is_failed.sum()),
        ]
        if name == "loss":
            volume = np.abs(numbers(mine, "volume_pct", np.inf))
            cells += [f"{volume.mean():.2f}, worst {volume.max():.2f}"]
        rejected = np.array([line["status"] == "3" for line in mine])
        cells += [str((is_failed & ~rejected).sum()), str(rejected.sum()) if method in OURS else "", _seconds(mine)]
        body.append(cells)
    return _ruled(heads, body)


def short_table(rows: dict[str, list[Line]]) -> list[str]:
    """Return one table of several rows, a line per tool, on the pairs that all ran: accuracy, failures, seconds."""
    heads = ["tool"]
    for name, row in rows.items():
        heads.append(f"{'Dice' if is_people(row) else 'error in mm'}, {SHORT.get(name, name)}")
    heads += ["failed pairs", "seconds"]
    ran = [[{line["pair"] for line in row if line["method"] == method} for method in TOOLS] for row in rows.values()]
    shared = [set.intersection(*(pairs for pairs in of_row if pairs)) for of_row in ran]
    body = []
    for method, tool in TOOLS.items():
        mine = [
            [line for line in row if line["method"] == method and line["pair"] in pairs]
            for row, pairs in zip(rows.values(), shared, strict=True)
        ]
        every = [line for lines in mine for line in lines]
        if not all(mine):
            continue
        cells = [tool]
        cells += [f"{figure(own).mean() if is_people(own) else np.median(figure(own)):.2f}" for own in mine]
        cells += [f"{sum(int(failed(own).sum()) for own in mine)} of {len(every)}"]
        cells += [f"{np.median(numbers(every, 'seconds')):.1f}"]
        body.append(cells)
    return _ruled(heads, body)


def _ruled(heads: list[str], body: list[list[str]]) -> list[str]:
    """Return cells as lines of a markdown table, padded to equal widths."""
    widths = [max(len(r[k]) for r in (heads, *body)) for k in range(len(heads))]
    ruled = [heads, ["-" * w for w in widths], *body]
    return ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in ruled]


def _percentile(values: np.ndarray) -> float:
    """Return the 95th percentile, where some may be infinite."""
    return float(np.sort(values)[min(int(np.ceil(0.95 * len(values))) - 1, len(values) - 1)])


def _seconds(mine: list[Line]) -> str:
    return f"{np.median(numbers(mine, 'seconds')):.1f} ({np.median(numbers(mine, 'cpu_s')):.1f})"


def note_of(lines: list[Line], path: Path, ours: Collection[str] = tuple(OURS)) -> str:
    """Say where and when the figures come from."""
    days = sorted({line["day"] for line in lines})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    own = sorted({f"{line['version']} with weights {line['weights']}" for line in lines if line["method"] in ours})
    machines = "; ".join(sorted({line["machine"] for line in lines}))
    trial = " A TRIAL of the commands: too few pairs to say anything." if "trial" in path.stem else ""
    stnreg = f"; stnreg {', '.join(own)}" if own else ""
    return f"{when}; {machines}{stnreg}.{trial}"


def main() -> None:
    """Print the tables of the rows that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", nargs="?", type=Path, default=RESULTS / "bench.csv")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--short", action="store_true", help="print one short table of these rows, a line per tool")
    parser.add_argument("--png", type=Path, help="also draw each pair's figure as a dot, a line per method")
    options = parser.parse_args()
    lines = read(options.csv)
    rows = {name: [line for line in lines if line["row"] == name] for name in options.rows.split(",")}
    rows = {name: mine for name, mine in rows.items() if mine}
    if not rows:
        raise SystemExit(f"{options.csv}: none of these rows is there yet; run `python -m benchmarks.accuracy.run`")
    if options.short:
        print("\n".join(short_table(rows)), end="\n\n")
    for name, mine in rows.items() if not options.short else ():
        print(f"**{ROWS[name].title}** (`{name}`)\n")
        print("\n".join(table(name, mine)), end="\n\n")
    print(note_of([line for mine in rows.values() for line in mine], options.csv))
    if options.png:
        draw({ROWS[name].title: mine for name, mine in rows.items()}, options.png)


if __name__ == "__main__":
    main()
