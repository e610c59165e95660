"""How the refined networks stand against SimpleITK: mean differences over the same pairs, with intervals."""

import math
from collections.abc import Iterable

import numpy as np

from benchmarks.paper.methods import METHODS
from benchmarks.paper.tables import PAPER_COLUMNS, Cells
from stnreg.evaluation.bootstrap import bootstrap_mean

REFINED = ("separate-refined", "affine-refined")
PEER = "sitk-affine"
LEVEL = {"dice": (0.002, 1), "hd95_mm": (0.1, -1), "mi_nats": (0.01, 1), "label_dice": (0.002, 1)}
"""What counts as level, and whether more is better (1) or less (-1)."""

WORST = 5  # pairs of two people that are listed
CUT_HEAD = "IXI521"  # its field of view ends at the lip: benchmarks.paper.cut_heads


def show_refined(cells: Cells) -> Iterable[str]:
    """Yield one line for each network and column, and what is reached."""
    yield "Mean difference from SimpleITK over the same pairs [95 % interval]."
    yield "better, worse: the interval is on one side of 0; level: it is not."
    yield "MISSED: worse than the tie of 0.002, 0.1 mm or 0.01 nat. Error: median, mm (SimpleITK's)."
    for method in REFINED:
        yield ""
        head = "".join(f"{name:>33}" for name in LEVEL)
        yield f"{METHODS[method].title:18}{'pairs':>6}{head}  error"
        for column in PAPER_COLUMNS:
            yield _line(cells, method, column)
    yield from _worst(cells, REFINED[0], "random")
    for method in REFINED:
        yield from _by_head(cells, method, "random")


def _worst(cells: Cells, method: str, column: str) -> Iterable[str]:
    """Yield the pairs whose HD95 loses most, and what their labels say."""
    own, theirs = (
        {figure: cells.values(column, name, figure) for figure in ("hd95_mm", "label_dice")} for name in (method, PEER)
    )
    lost = {
        pair: own["hd95_mm"][pair] - theirs["hd95_mm"][pair] for pair in own["hd95_mm"] if pair in theirs["hd95_mm"]
    }
    if lost:
        yield ""
        yield f"{METHODS[method].title}, {column}: the pairs that lose most in HD95, and their label Dice"
        for pair in sorted(lost, key=lambda pair: -lost[pair])[:WORST]:
            labels = f"{own['label_dice'][pair]:.3f} (SimpleITK {theirs['label_dice'][pair]:.3f})"
            yield f"{pair:18}{lost[pair]:+.2f} mm, {labels}"


def _by_head(cells: Cells, method: str, column: str) -> Iterable[str]:
    """Yield the difference in HD95 of the pairs with the head that is cut off, and of the others."""
    own, theirs = (cells.values(column, name, "hd95_mm") for name in (method, PEER))
    less = {pair: own[pair] - theirs[pair] for pair in own if pair in theirs}
    groups = [[d for pair, d in less.items() if (CUT_HEAD in pair) == is_cut] for is_cut in (True, False)]
    if all(groups):
        mean, low, high, _ = bootstrap_mean(np.array(groups[1]))
        yield (
            f"{METHODS[method].title}, {column}, HD95: {np.mean(groups[0]):+.2f} mm in the {len(groups[0])} pairs with "
            f"{CUT_HEAD}, {mean:+.2f} [{low:+.2f}, {high:+.2f}] in the {len(groups[1])} others"
        )


def _line(cells: Cells, method: str, column: str) -> str:
    told = [differences(cells, method, column, figure) for figure in LEVEL]
    pairs = len(told[0])
    if not pairs:
        return f"{column:18} not measured on {cells.least} pairs yet"
    words = "".join(f"{described(values, figure):>33}" for values, figure in zip(told, LEVEL, strict=True))
    ours, theirs = (cells.figure(column, name, "error_mm") for name in (method, PEER))
    error = "" if math.isnan(ours) else f"  {ours:.3f} ({theirs:.3f}) {'reached' if ours < theirs else 'MISSED'}"
    return f"{column:18}{pairs:>6}{words}{error}"


def differences(cells: Cells, method: str, column: str, figure: str) -> np.ndarray:
    """Return method less SimpleITK on the pairs that both have; empty where there are too few."""
    ours, theirs = (cells.values(column, name, figure) for name in (method, PEER))
    both = np.array([ours[pair] - theirs[pair] for pair in ours if pair in theirs])
    both = both[np.isfinite(both)]
    return both if len(both) >= cells.least else np.empty(0)


def described(values: np.ndarray, figure: str) -> str:
    """Return mean, interval and judgement of differences.

    Examples
    --------
    >>> described(np.full(40, 0.01), "dice")
    '+0.010 [+0.010, +0.010] better'
    """
    tie, sign = LEVEL[figure]
    mean, low, high, _ = bootstrap_mean(values)
    digits = 2 if figure == "hd95_mm" else 3
    worst, best = (low, high) if sign > 0 else (-high, -low)
    if sign * mean < -tie:
        word = "MISSED"
    elif worst > 0:
        word = "better"
    else:
        word = "worse" if best < 0 else "level"
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}] {word}"
