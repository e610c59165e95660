"""`stnreg pairs`: a PAIRS.csv from scans that people have, split by person."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stnreg.commands._target import located
from stnreg.errors import DataError, UsageProblem

if TYPE_CHECKING:
    from stnreg.datasets.draw import Drawn, Kind
    from stnreg.datasets.scans import Scan

MOST = 10_000  # `draw.MOST`, which help must not load
ONLY = "only"  # `trees.ONLY`
SHOWN = 20  # missing things told on the terminal
COLUMNS = ("id", "split", "fixed", "moving", "subject", "moving_subject", "fixed_visit", "moving_visit")


def pairs(
    source: Annotated[
        Literal["adni", "bids", "folder"],
        typer.Argument(
            help="Kind of ROOT: an ADNI download (PTID/sequence/date/image-id), a BIDS dataset, or a folder where each "
            "image, or each folder of images, is a person.",
            show_default=False,
        ),
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the scans.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PAIRS.csv", help="Table to write; paths in it are relative to it."),
    ],
    kind: Annotated[
        Literal["random", "longitudinal"] | None,
        typer.Option(
            metavar="random|longitudinal",
            help="Which scans make a pair: random takes one visit of each of two people, longitudinal two visits of "
            "one person, the earlier one fixed; random when left out.",
        ),
    ] = None,
    fixed: Annotated[
        Path | None,
        typer.Option(metavar="TEMPLATE", help="Pair every scan, as the moving one, with this image or template."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="TADPOLE.csv",
            help="Table of visits for adni, with the columns RID, PTID, VISCODE and EXAMDATE; each day with a scan "
            "is a visit when left out.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN,VALIDATION,TEST",
            help="Number of pairs of each split; nobody is in two of them. Not split, and all pairs that there are (of "
            f"two people {MOST} at most), when left out.",
        ),
    ] = None,
    sequence: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN", help="Sequence folders of adni to use, such as 'MPR*Scaled'; all when left out."
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="NAME", help="Suffix of the images of bids to use; T1w when left out.")
    ] = None,
    repeats: Annotated[
        Literal["leave", "first"],
        typer.Option(
            help="What is done with several images of one visit: leave lists the visit as missing, first takes the "
            "first by name."
        ),
    ] = "leave",
    days: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="DAYS", help="Largest number of days between a scan of adni and its visit; 60 when left out."
        ),
    ] = None,
    missing: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Table of missing scans to write: columns subject, visit and reason. The first few are also printed.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of the random numbers that draw people and pairs.")
    ] = 0,
) -> None:
    """Make a table of pairs from a collection of scans.

    Missing or ambiguous scans are listed and left out.

    Example: stnreg pairs bids DATASET -o PAIRS.csv --fixed TEMPLATE.nii.gz
    """
    from stnreg.core.files import check_input, check_output, write_atomic
    from stnreg.datasets.adni import DAYS, find_adni
    from stnreg.datasets.draw import SPLITS, pair_with_one
    from stnreg.datasets.trees import find_bids, find_folder
    from stnreg.reports import streams

    _refuse(source, {"--table": table, "--sequence": sequence, "--days": days}, "adni")
    _refuse(source, {"--suffix": suffix}, "bids")
    counts = None if split is None else _counts(split)
    if fixed is not None:
        fixed = located(fixed)
        check_input(fixed, folder=True)
        if kind is not None:
            raise UsageProblem("--fixed and --kind: every scan is paired with one image, or scans with each other")
    for path in filter(None, (output, missing)):
        check_output(path, inputs=filter(None, [table, fixed]))
    if source == "adni":
        found = find_adni(root, table, sequence or "*", repeats, DAYS if days is None else days)
    else:
        found = find_bids(root, suffix or "T1w", repeats) if source == "bids" else find_folder(root)
    if fixed is not None:
        drawn = pair_with_one(found.scans, fixed, counts, seed)
    else:
        drawn = _drawn(found.scans, kind or "random", counts, seed)
    write_atomic(output, _table(COLUMNS, (_row(number, pair, output) for number, pair in enumerate(drawn))))
    if missing:
        write_atomic(
            missing, _table(("subject", "visit", "reason"), ((m.subject, m.visit, m.reason) for m in found.missing))
        )
    for one in found.missing[:SHOWN]:
        streams.note(f"missing: {one.subject} {one.visit}: {one.reason}")
    if found.missing:
        streams.note(f"{len(found.missing)} missing in all" + ("" if missing else "; --missing FILE.csv lists them"))
    for name, count in zip(SPLITS, counts or (0, 0, 0), strict=True):
        there = sum(pair.split == name for pair in drawn)
        if there < count:
            streams.note(f"{name}: {there} pairs, of {count} asked for: there are no more without using one twice")
    people = len({scan.subject for scan in found.scans})
    streams.note(f"{len(drawn)} pairs from {len(found.scans)} scans of {people} people are listed in {output}")


def _drawn(scans: Sequence["Scan"], kind: "Kind", counts: tuple[int, int, int] | None, seed: int) -> list["Drawn"]:
    from stnreg.datasets.draw import draw_pairs
    from stnreg.reports import streams

    try:
        drawn = draw_pairs(scans, kind, counts, seed)
    except DataError as error:
        few = "--kind longitudinal pairs the visits of one person, " if kind == "random" else ""
        fewer = "" if counts is None else " Fewer splits need fewer people: without --split there is none."
        raise DataError(f"{error}. {few}--fixed TEMPLATE pairs every scan with one image.{fewer}") from error
    if counts is None and kind == "random" and len(drawn) == MOST:
        streams.note(f"{MOST} pairs were drawn; --split N,0,0 draws N")
    return drawn


def _refuse(source: str, options: dict[str, object], owner: str) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given and source != owner:
        raise UsageProblem(f"{source}: {', '.join(given)} is for {owner}")


def _counts(text: str) -> tuple[int, int, int]:
    try:
        train, validation, test = (int(part) for part in text.split(","))
    except ValueError:
        train = validation = test = 0
    if min(train, validation, test) < 0 or train + validation + test == 0:
        raise UsageProblem(f"--split {text}: expected three counts with commas between, such as 1000,500,1000")
    return train, validation, test


def _row(number: int, pair: "Drawn", table: Path) -> tuple[str, ...]:
    fixed, moving = pair.fixed, pair.moving
    people_and_visits = fixed.subject or moving.subject, moving.subject, fixed.visit, moving.visit
    # With a template, a pair is known by its scan.
    name = f"{number:05d}" if fixed.subject else "_".join([moving.subject, *([moving.visit] * (moving.visit != ONLY))])
    return name, pair.split, *(_relative(s.path, table) for s in (fixed, moving)), *people_and_visits


def _relative(path: Path, table: Path) -> str:
    return os.path.relpath(path.absolute(), table.absolute().parent)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
