"""The tables of `benchmarks.modalities.run`, from its CSV, as markdown.

    python -m benchmarks.modalities.tables [CSV]

One person: mean and largest distance from the true map over the brain, mm, with and without refinement. `lost`: more
than 5 mm off. `one person`: pairs that were recognised as such. `information`: pairs that were refined by mutual
information. `best peer`: the one that loses the smallest share of its pairs, and its mean over those that it does not
lose. Two people: label Dice, and what the refinement adds to it, with a 95 % bootstrap interval.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy.results import FAILED_MM, RESULTS, Line, numbers, read
from benchmarks.modalities.kinds import KINDS
from benchmarks.modalities.people import ROWS as PEOPLE
from stnreg.evaluation.bootstrap import bootstrap_mean

HEADS_ONE = ("kind", "pairs", "error mm", "largest", "unrefined", "lost", "refused", "one person", "information",
             "best peer", "seconds")  # fmt: skip
HEADS_TWO = ("row", "pairs", "unrefined Dice", "refined less unrefined", "worst pair", "below -0.01", "refused",
             "seconds")  # fmt: skip


def of_method(lines: list[Line], method: str) -> list[Line]:
    """Return the lines of a method, by pair."""
    return sorted((line for line in lines if line["method"] == method), key=lambda line: int(line["pair"]))


def one_person(kind: str, lines: list[Line]) -> list[str]:
    """Return the cells of a kind."""
    mine, plain = of_method(lines, "stnreg"), of_method(lines, "stnreg-no-refine")
    error = numbers(mine, "error_mm", np.inf)
    peers = {m: numbers(of_method(lines, m), "error_mm", np.inf) for m in {line["method"] for line in lines}}
    return [
        kind,
        str(len(mine)),
        f"{error.mean():.2f}",
        f"{error.max():.2f}",
        f"{numbers(plain, 'error_mm', np.inf).mean():.2f}",
        str(int((error > FAILED_MM).sum())),
        str(sum(line["passed"] == "False" for line in mine)),
        str(sum(line["same_person"] == "True" for line in mine)),
        str(sum(line["similarity"] == "mutual information" for line in mine)),
        best_of({m: e for m, e in peers.items() if not m.startswith("stnreg")}),
        f"{np.median(numbers(mine, 'cpu_s')):.1f}",
    ]


def best_of(peers: dict[str, np.ndarray]) -> str:
    """Return the mean of the peer that loses the smallest share, over the pairs that it does not lose."""
    found = []
    for name, error in peers.items():
        kept = error[error <= FAILED_MM]
        mean = float(kept.mean()) if len(kept) else np.inf
        found.append(
            (1 - len(kept) / len(error), mean, f"{mean:.2f} (`{name}`, {len(error) - len(kept)} of {len(error)} lost)")
        )
    return min(found)[2] if found else ""


def two_people(row: str, lines: list[Line]) -> list[str]:
    """Return the cells of a row."""
    mine, plain = of_method(lines, "stnreg"), of_method(lines, "stnreg-no-refine")
    before, after = numbers(plain, "dice", 0.0), numbers(mine, "dice", 0.0)
    mean, low, high, _ = bootstrap_mean(after - before)
    return [
        row,
        str(len(mine)),
        f"{before.mean():.4f}",
        f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]",
        f"{(after - before).min():+.4f}",
        str(int((after - before < -0.01).sum())),
        str(sum(line["passed"] == "False" for line in mine)),
        f"{np.median(numbers(mine, 'cpu_s')):.1f}",
    ]


def ruled(heads: tuple[str, ...], body: list[list[str]]) -> str:
    """Return a table of markdown."""
    widths = [max(len(cells[k]) for cells in (heads, *body)) for k in range(len(heads))]
    rows = [list(heads), ["-" * w for w in widths], *body]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", nargs="?", type=Path, default=RESULTS / "modalities.csv")
    lines = read(parser.parse_args().csv)
    rows = {name: [line for line in lines if line["row"] == name] for name in (*KINDS, *PEOPLE)}
    rows = {name: mine for name, mine in rows.items() if mine}
    if not rows:
        raise SystemExit("nothing is measured yet; run `python -m benchmarks.modalities.run`")
    one = [one_person(name, mine) for name, mine in rows.items() if name in KINDS]
    two = [two_people(name, mine) for name, mine in rows.items() if name in PEOPLE]
    print("\n\n".join(ruled(heads, body) for heads, body in ((HEADS_ONE, one), (HEADS_TWO, two)) if body))


if __name__ == "__main__":
    main()
