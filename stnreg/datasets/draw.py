"""Draw pairs of scans: of two people, or of two visits of one person. Splits have no person in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from stnreg.datasets.scans import Scan
from stnreg.errors import DataError

MOST = 10_000
"""Maximum number of pairs of two people if no number is given."""
SPLITS = ("train", "validation", "test")
Kind = Literal["random", "longitudinal"]


@dataclass(frozen=True)
class Drawn:
    """One pair of a list; its split is empty without splits."""

    split: str
    fixed: Scan
    moving: Scan


def draw_pairs(
    scans: Sequence[Scan], kind: Kind, counts: tuple[int, int, int] | None = None, seed: int = 0
) -> list[Drawn]:
    """Draw pairs without repetition; fewer than requested if there are no more.

    Without counts there are no splits: all pairs of visits of one person in their order, or pairs of two people, at
    most `MOST`. With counts people are first assigned to the splits, at random, in proportion to the counts.

    Parameters
    ----------
    scans : sequence of Scan
        One per visit.
    kind : {"random", "longitudinal"}
        Two people, a visit of each; or two visits of one person, the earlier one fixed.
    counts : (train, validation, test), optional
    seed : int

    Raises
    ------
    DataError
        If there are too few people for the splits.
    """
    visits: dict[str, list[Scan]] = {}
    for scan in sorted(scans, key=lambda scan: (scan.subject, scan.visit)):
        visits.setdefault(scan.subject, []).append(scan)
    rng = np.random.default_rng(seed)
    able = sorted(person for person, own in visits.items() if kind == "random" or len(own) > 1)
    least = 2 if kind == "random" else 1
    wanted = 1 if counts is None else sum(count > 0 for count in counts)
    if len(able) < least * wanted:
        have = "people" if kind == "random" else "people with two visits"
        need = f"{wanted} splits of {least} or more each" if counts is not None else f"pairs, which need {least}"
        raise DataError(f"{len(able)} {have}, of {len(visits)}: too few for {need}")
    if counts is None:
        everybody = [visits[person] for person in able]
        every = _of_two(everybody, MOST, rng) if kind == "random" else _visits_of_each(everybody)
        return [Drawn("", fixed, moving) for fixed, moving in every]
    drawn = []
    for split, people, count in zip(SPLITS, split_people(able, counts, least, rng), counts, strict=True):
        own = [visits[person] for person in people]
        possible = _of_two(own, count, rng) if kind == "random" else _of_one(own, count, rng)
        drawn += [Drawn(split, fixed, moving) for fixed, moving in possible]
    return drawn


def pair_with_one(
    scans: Sequence[Scan], fixed: Path, counts: tuple[int, int, int] | None = None, seed: int = 0
) -> list[Drawn]:
    """Pair every scan, as the moving image, with one fixed image; with counts, people are assigned to splits.

    Raises
    ------
    DataError
        If there is no scan, or there are too few people for the splits.
    """
    visits: dict[str, list[Scan]] = {}
    for scan in sorted(scans, key=lambda scan: (scan.subject, scan.visit)):
        visits.setdefault(scan.subject, []).append(scan)
    wanted = 1 if counts is None else sum(count > 0 for count in counts)
    if len(visits) < wanted:
        raise DataError(f"{len(visits)} people with a scan; at least {wanted} are needed")
    template = Scan(fixed, "", "")
    if counts is None:
        return [Drawn("", template, scan) for own in visits.values() for scan in own]
    dealt = split_people(sorted(visits), counts, 1, np.random.default_rng(seed))
    return [
        Drawn(split, template, scan)
        for split, people, count in zip(SPLITS, dealt, counts, strict=True)
        for scan in [scan for person in people for scan in visits[person]][:count]
    ]


def split_people(people: Sequence[str], counts: Sequence[int], least: int, rng: np.random.Generator) -> list[list[str]]:
    """Assign people to the splits in proportion to `counts`, at least `least` to each split with a count."""
    shuffled = [people[k] for k in rng.permutation(len(people))]
    exact = len(people) * np.array(counts) / sum(counts)
    shares = np.floor(exact).astype(int)
    shares[np.argsort(shares - exact, kind="stable")[: len(people) - int(shares.sum())]] += 1
    for k, count in enumerate(counts):
        while count and shares[k] < least:
            shares[int(np.argmax(shares))] -= 1
            shares[k] += 1
    ends = np.cumsum(shares)
    return [sorted(shuffled[end - share : end]) for share, end in zip(shares, ends, strict=True)]


def _of_two(people: list[list[Scan]], count: int, rng: np.random.Generator) -> list[tuple[Scan, Scan]]:
    """Draw pairs of different people's scans, without repetition."""
    scans = [scan for own in people for scan in own]
    person = np.repeat(np.arange(len(people)), [len(own) for own in people])
    possible = len(scans) ** 2 - int((np.bincount(person) ** 2).sum()) if people else 0
    seen: dict[tuple[int, int], None] = {}
    while len(seen) < min(count, possible):
        for fixed, moving in rng.integers(len(scans), size=(2 * count, 2)).tolist():
            if person[fixed] != person[moving] and len(seen) < count:
                seen.setdefault((fixed, moving))
    return [(scans[fixed], scans[moving]) for fixed, moving in seen]


def _visits_of_each(people: list[list[Scan]]) -> list[tuple[Scan, Scan]]:
    """Return every two visits of each person, the earlier first."""
    return [pair for own in people for pair in combinations(own, 2)]


def _of_one(people: list[list[Scan]], count: int, rng: np.random.Generator) -> list[tuple[Scan, Scan]]:
    """Draw two visits of one person, the earlier first, without repetition."""
    every = _visits_of_each(people)
    return [every[k] for k in rng.permutation(len(every))[:count]]
