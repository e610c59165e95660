"""How well the verdict separates the outcomes that `benchmarks.verdict.run` wrote: a table by kind, the ROC curve.

    python -m benchmarks.verdict.roc CSV... [--png FILE] [--score COLUMN] [--least X] [--kinds] [--by-dof]

Sensitivity: the share of failed outcomes that the verdict rejects. Specificity: the share of good ones it accepts.
Borderline outcomes (one person, 2.5 to 5 mm; `grey` in the CSV) count in neither. Two people of whom one image is
mirrored count in neither, and are shown on a line of their own: nothing in the images tells which side of a stranger
is the left one.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, str]
UNKNOWABLE = "two, mirrored"


def read(paths: list[Path]) -> list[Row]:
    """Read outcomes from one CSV or several."""
    rows = []
    for path in paths:
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def rejected(rows: list[Row]) -> np.ndarray:
    """Return whether the verdict rejected each outcome: what it asks for is not one score for all."""
    return np.array([row["passed"] != "True" for row in rows])


def scores(rows: list[Row], column: str = "score") -> np.ndarray:
    """Return each outcome's score; -1 where it is rejected whatever the score."""
    values = np.array([float(r[column] or "nan") for r in rows])
    return np.where([r["gate"] == "True" for r in rows], np.nan_to_num(values, nan=-1.0), -1.0)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    if whole == 0:
        return float("nan"), float("nan")
    z, share = 1.96, part / whole
    middle = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    half = z / (1 + z**2 / whole) * np.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2))
    return middle - half, middle + half


def curve(good: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thresholds, the share of good ones rejected and of failed ones rejected at each: below it is rejected."""
    thresholds = np.r_[-np.inf, np.unique(np.r_[good, failed]), np.inf]
    return (
        thresholds,
        np.array([(good < t).mean() for t in thresholds]),
        np.array([(failed < t).mean() for t in thresholds]),
    )


def area(good: np.ndarray, failed: np.ndarray) -> float:
    """Return the area under the curve: how often a good outcome scores above a failed one; ties count half."""
    above = (good[:, None] > failed).mean() + 0.5 * (good[:, None] == failed).mean()
    return float(above)


def show(paths: list[Path], column: str = "score", least: float | None = None, by_kind: bool = True) -> None:
    """Print the table."""
    rows = read(paths)
    value = scores(rows, column)
    no = rejected(rows) if least is None else value < least
    outcome = np.array([r["outcome"] for r in rows])
    kind = np.array([r["kind"] for r in rows])
    counted = kind != UNKNOWABLE
    weights = ", ".join(sorted({row["weights"] for row in rows}))
    print(", ".join(path.name for path in paths) + f": {len(rows)} outcomes, weights {weights}")
    for name, state, is_right in (("sensitivity", "failed", no), ("specificity", "good", ~no)):
        mine = counted & (outcome == state)
        right, whole = int((mine & is_right).sum()), int(mine.sum())
        low, high = wilson(right, whole)
        print(f"{name} {100 * right / max(whole, 1):.1f} % [{100 * low:.1f}, {100 * high:.1f}]: "
              f"{right} of {whole} {state} outcomes")  # fmt: skip
    good, failed = (value[counted & (outcome == state)] for state in ("good", "failed"))
    print(f"area under the curve {area(good, failed):.4f}")
    thresholds, lost, found = curve(good, failed)
    best = int(np.argmax(np.minimum(1 - lost, found)))
    print(f"best threshold here {thresholds[best]:.3f}: sensitivity {100 * found[best]:.1f} %, "
          f"specificity {100 * (1 - lost[best]):.1f} %")  # fmt: skip
    if by_kind:
        _by_kind(rows, kind, outcome, no)


def sentence(paths: list[Path]) -> str:
    """Return the two rates of the shipped assessment in one sentence."""
    rows = [row for row in read(paths) if row["kind"] != UNKNOWABLE]
    no, outcome = rejected(rows), np.array([row["outcome"] for row in rows])
    failed, good = outcome == "failed", outcome == "good"
    caught, kept = int((failed & no).sum()), int((good & ~no).sum())
    return (
        f"The quality assessment rejects {100 * caught / failed.sum():.1f} % of failed registrations ({caught} of "
        f"{failed.sum()}) and accepts {100 * kept / good.sum():.1f} % of good ones ({kept} of {good.sum()})."
    )


def _by_kind(rows: list[Row], kind: np.ndarray, outcome: np.ndarray, no: np.ndarray) -> None:
    start = np.array([r["trial"] for r in rows])
    heads = (("good", 5), ("rejected", 9), ("borderline", 11), ("rejected", 9), ("failed", 7), ("accepted", 9))
    print(f"\n{'kind':22s} {'start':9s}", *(f"{name:>{width}s}" for name, width in heads))
    for k in dict.fromkeys(kind):
        for s in dict.fromkeys(start[kind == k]):
            mine = (kind == k) & (start == s)
            good, grey, failed = (mine & (outcome == state) for state in ("good", "grey", "failed"))
            counts = (good, good & no, grey, grey & no, failed, failed & ~no)
            print(f"{k:22s} {s:9s}", *(f"{c.sum():{width}d}" for c, (_, width) in zip(counts, heads, strict=True)))


def show_by_dof(paths: list[Path], column: str = "score", least: float | None = None) -> None:
    """Print a line for each number of degrees of freedom: good outcomes accepted, failed ones rejected, by start."""
    rows = [r for r in read(paths) if r["kind"] != UNKNOWABLE]
    value = scores(rows, column)
    no = rejected(rows) if least is None else value < least
    dof = np.array([int(r.get("dof") or 12) for r in rows])
    start, outcome = (np.array([r[name] for r in rows]) for name in ("trial", "outcome"))
    print(f"{'':4s}{'good, accepted':>18s}", *(f"{k + ', rejected':>20s}" for k in ("failed", *dict.fromkeys(start))))
    for d in sorted(set(dof)):
        good, failed = ((dof == d) & (outcome == state) for state in ("good", "failed"))
        told = [f"{(good & ~no).sum()} of {good.sum()}", f"{(failed & no).sum()} of {failed.sum()}"]
        of = {k: failed & (start == k) for k in dict.fromkeys(start)}
        told += [f"{(no & mine).sum()} of {mine.sum()}" for mine in of.values()]
        print(f"{d:<4d}{told[0]:>18s}", *(f"{one:>20s}" for one in told[1:]))


def draw(paths: list[Path], png: Path, column: str = "score", least: float | None = None) -> None:
    """Draw the ROC curve, whole and its upper left corner, with the verdict marked."""
    from PIL import Image, ImageDraw, ImageFont

    rows = [r for r in read(paths) if r["kind"] != UNKNOWABLE]
    value, outcome = scores(rows, column), np.array([r["outcome"] for r in rows])
    no = rejected(rows) if least is None else value < least
    good, failed = outcome == "good", outcome == "failed"
    _, x, y = curve(value[good], value[failed])
    mark = (no[good].mean(), no[failed].mean())
    sheet = Image.new("RGB", (1640, 860), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(24)
    for left, reach in ((120, 1.0), (920, 0.1)):
        _axes(pen, font, left, reach)
        inside = [(a, b) for a, b in zip(x, y, strict=True) if a <= reach and b >= 1 - reach]
        pen.line([_place(a, b, left, reach) for a, b in inside], "#1f5fa8", 4)
        if mark[0] <= reach and mark[1] >= 1 - reach:
            cx, cy = _place(*mark, left, reach)
            pen.ellipse([cx - 10, cy - 10, cx + 10, cy + 10], outline="#c03020", width=4)
    said = f"area {area(value[good], value[failed]):.4f}: {good.sum()} good, {failed.sum()} failed outcomes"
    pen.text((180, 660), said, "black", font, anchor="lm")
    pen.text((180, 700), "the circle is the verdict", "black", font, anchor="lm")
    png.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(png, optimize=True)
    print(f"{png}: the ROC curve")


TOP_PX, EDGE_PX = 60, 680


def _place(x: float, y: float, left: int, reach: float) -> tuple[float, float]:
    """Return the pixel of a point of the curve; `reach` is how much of each axis is shown."""
    return left + x / reach * EDGE_PX, TOP_PX + (1 - y) / reach * EDGE_PX


def _axes(pen: Any, font: Any, left: int, reach: float) -> None:
    right, bottom = left + EDGE_PX, TOP_PX + EDGE_PX
    for part in np.linspace(0, 1, 6):
        x, y = left + part * EDGE_PX, bottom - part * EDGE_PX
        pen.line([(x, TOP_PX), (x, bottom)], "#dddddd")
        pen.line([(left, y), (right, y)], "#dddddd")
        pen.text((x, bottom + 10), f"{100 * part * reach:.0f}", "black", font, anchor="mt")
        pen.text((left - 10, y), f"{100 * (1 - reach + part * reach):.0f}", "black", font, anchor="rm")
    pen.rectangle([left, TOP_PX, right, bottom], outline="black")
    pen.text(((left + right) / 2, bottom + 50), "good registrations rejected, %", "black", font, anchor="mt")
    pen.text((left, TOP_PX - 14), "failed registrations rejected, %", "black", font, anchor="lb")


def main() -> None:
    """Print, and draw if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", nargs="+", type=Path)
    parser.add_argument("--png", type=Path, help="draw the curve here")
    parser.add_argument("--score", default="score", metavar="COLUMN", help="judge by another column")
    parser.add_argument("--least", type=float, help="reject below this, in place of what the verdict said")
    parser.add_argument("--kinds", action="store_true", help="a line for each kind of outcome, too")
    parser.add_argument("--by-dof", action="store_true", help="a line for each number of degrees of freedom instead")
    parser.add_argument("--sentence", action="store_true", help="print the two rates alone, in one sentence")
    options = parser.parse_args()
    if options.by_dof:
        show_by_dof(options.csv, options.score, options.least)
        return
    if options.sentence:
        print(sentence(options.csv))
        return
    show(options.csv, options.score, options.least, options.kinds)
    if options.png:
        draw(options.csv, options.png, options.score, options.least)


if __name__ == "__main__":
    main()
