"""The tables of `benchmarks.deformable.run`, from its CSV, as markdown.

    python -m benchmarks.deformable.tables [CSV] [--rows A,B] [--sentence]

`label Dice` or `error mm` are means over pairs; `gain` is over our affine, which peers start from too unless their name
ends in `-own`. Means of methods that ran different pairs do not compare; the paired column does. `against best peer` is
the mean paired difference to the peer with the best mean gain, on the pairs that both ran, with a 95 % bootstrap
interval. `worse than affine` counts pairs that lost; a method that gave up counts, and its pair as the affine left it.
`folds` are pairs with a fold on the fixed grid, by central differences and by the digital criterion, and the mean
volume that is turned over, in per cent. `SD log J` is over the fixed brain, without the affine, folded voxels left out.
Seconds are medians of whole processes, one thread each, in brackets of their processor time. `--sentence` prints what
is said of the first row in short.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy.results import RESULTS, Line, numbers, read
from benchmarks.accuracy.tables import note_of
from benchmarks.deformable.methods import METHODS, OURS
from benchmarks.deformable.pairs import ROWS
from stnreg.evaluation.bootstrap import bootstrap_mean

T1_ROW = "painted"  # the pairs of `painted-CONTRAST` have the same anatomies in the same order
HEADS = ("method", "pairs", "figure", "gain", "against best peer", "worse than affine", "folds", "SD log J", "seconds")


def is_known(row: list[Line]) -> bool:
    """Return whether the true map of these pairs is known."""
    return any(line["error_before_mm"] for line in row)


def figure(lines: list[Line]) -> np.ndarray:
    """Return Dice, or the error in mm; that of the affine where a method gave up."""
    column, before = ("error_mm", "error_before_mm") if is_known(lines) else ("dice", "dice_before")
    values = numbers(lines, column)
    return np.where(np.isnan(values), numbers(lines, before), values)


def gain(lines: list[Line]) -> np.ndarray:
    """Return by how much each pair is better than with our affine: Dice, or mm."""
    if is_known(lines):
        return numbers(lines, "error_before_mm") - figure(lines)
    return figure(lines) - numbers(lines, "dice_before")


def best_peer(row: list[Line]) -> str | None:
    """Name the peer with the best mean."""
    marks = {}
    for method in (m for m in METHODS if m != OURS):
        mine = [line for line in row if line["method"] == method]
        if mine:
            marks[method] = gain(mine).mean()
    return max(marks, key=lambda m: marks[m]) if marks else None


def difference(mine: list[Line], peer: list[Line]) -> str:
    """Say by how much two methods differ on the pairs that both ran."""
    theirs = dict(zip((line["pair"] for line in peer), figure(peer), strict=True))
    both = [v - theirs[line["pair"]] for line, v in zip(mine, figure(mine), strict=True) if line["pair"] in theirs]
    if not both:
        return ""
    mean, low, high, _ = bootstrap_mean(np.array(both))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] on {len(both)}"


def table(row: list[Line]) -> list[str]:
    """Return one table as lines of markdown."""
    heads = [("error mm" if is_known(row) else "label Dice") if head == "figure" else head for head in HEADS]
    peer = best_peer(row)
    of_peer = [line for line in row if line["method"] == peer]
    body = []
    for method in METHODS:
        mine = [line for line in row if line["method"] == method]
        if not mine:
            continue
        central, digital = (int((numbers(mine, f"folds_{kind}", 0) > 0).sum()) for kind in ("central", "digital"))
        gave_up = np.array([line["log_jacobian_sd"] == "" for line in mine])
        body.append(
            [
                f"`{method}`",
                str(len(mine)),
                f"{figure(mine).mean():.4f}",
                f"{gain(mine).mean():+.4f}",
                difference(mine, of_peer) if of_peer and method != peer else "",
                str(int(((gain(mine) < 0) | gave_up).sum())),
                f"{central}, {digital}; {np.nan_to_num(numbers(mine, 'folded_pct')).mean():.2g} %",
                f"{np.nanmean(numbers(mine, 'log_jacobian_sd')):.3f}" if not gave_up.all() else "",
                f"{np.median(numbers(mine, 'seconds')):.1f} ({np.median(numbers(mine, 'cpu_s')):.1f})",
            ]
        )
    widths = [max(len(r[k]) for r in (heads, *body)) for k in range(len(heads))]
    ruled = [heads, ["-" * w for w in widths], *body]
    return ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in ruled]


def of_ours(row: list[Line]) -> str:
    """Say how our method treats the inverse and the exchange of images, and what it rejects."""
    mine = [line for line in row if line["method"] == OURS]
    if not mine:
        return ""
    mean, worst, other, furthest = (
        numbers(mine, name) for name in ("inverse_mm", "inverse_max_mm", "exchange_mm", "exchange_max_mm")
    )
    rejected = sum(line["status"] == "3" for line in mine)
    return (
        f"`{OURS}`: forward and back {np.nanmean(mean):.3f} mm in the mean, {np.nanmax(worst):.2f} mm at worst; "
        f"images exchanged {np.nanmean(other):.4f} mm in the mean, {np.nanmax(furthest):.3f} mm at worst; "
        f"{rejected} rejected."
    )


def beside_t1(row: list[Line], t1: list[Line]) -> str:
    """Say what a row of painted heads has less than the same anatomies have from T1 to T1."""
    mine, other = ([line for line in lines if line["method"] == OURS] for lines in (row, t1))
    if not mine or not other or row is t1:
        return ""
    less = difference(mine, other)
    return f"`{OURS}`, less T1 to T1 of the same anatomies: {less}." if less else ""


def sentence(row: list[Line]) -> str:
    """Say in short how our method stands against the best peer, on the pairs that both ran."""
    mine = [line for line in row if line["method"] == OURS]
    peer = best_peer(row)
    theirs = {line["pair"]: line for line in row if line["method"] == peer}
    both = [line for line in mine if line["pair"] in theirs]
    folds = int((numbers(mine, "folds_central", 0) + numbers(mine, "folds_digital", 0) > 0).sum())
    said = (
        f"Between two people `--deform` raises the mean label Dice from {numbers(mine, 'dice_before').mean():.2f} to "
        f"{figure(mine).mean():.2f} ({len(mine)} pairs), with folds in {folds} of them."
    )
    if not both:
        return said
    of_peer = figure([theirs[line["pair"]] for line in both]).mean()
    return (
        f"{said}\nThe best other tool, `{peer}`, reaches {of_peer:.2f} on the {len(both)} pairs that it was run on,\n"
        f"and stnreg {figure(both).mean():.2f} on these."
    )


def main() -> None:
    """Print the tables of the rows that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", nargs="?", type=Path, default=RESULTS / "deformable.csv")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--sentence", action="store_true", help="the first of these rows, in short")
    options = parser.parse_args()
    lines = read(options.csv)
    rows = {name: [line for line in lines if line["row"] == name] for name in options.rows.split(",")}
    rows = {name: mine for name, mine in rows.items() if mine}
    if not rows:
        raise SystemExit(f"{options.csv}: none of these rows is there yet; run `python -m benchmarks.deformable.run`")
    if options.sentence:
        print(sentence(next(iter(rows.values()))))
        return
    for name, mine in rows.items():
        print(f"**{ROWS[name].title}** (`{name}`)\n")
        print("\n".join(table(mine)), end="\n\n")
        t1 = rows.get(T1_ROW, []) if name.startswith(T1_ROW) else []
        for said in (of_ours(mine), beside_t1(mine, t1)):
            if said:
                print(said, end="\n\n")
    print(note_of([line for mine in rows.values() for line in mine], options.csv, (OURS,)))


if __name__ == "__main__":
    main()
