"""`stnreg pairs`: a PAIRS.csv from scans that people have, split by person."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stnreg.errors import UsageProblem

if TYPE_CHECKING:
    from stnreg.datasets.draw import Drawn

SHOWN = 20  # missing things told on the terminal
COLUMNS = ("id", "split", "fixed", "moving", "subject", "moving_subject", "fixed_visit", "moving_visit")


def pairs(
    source: Annotated[
        Literal["adni", "bids", "folder"],
        typer.Argument(
            help="What ROOT is: an ADNI download (PTID/sequence/date/image-id), a BIDS dataset, or a folder where each "
            "image, or each folder of images, is a person.",
            show_default=False,
        ),
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where the scans lie.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PAIRS.csv", help="The list; its paths are relative to it.")
    ],
    kind: Annotated[
        Literal["random", "longitudinal"],
        typer.Option(help="random: two people, a visit of each. longitudinal: two visits of one, the earlier fixed."),
    ] = "random",
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="TADPOLE.csv",
            help="adni: visits as RID, PTID, VISCODE, EXAMDATE, such as TADPOLE_D1_D2.csv; each day with a scan is a "
            "visit when left out.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="TRAIN,VALIDATION,TEST", help="How many pairs of each; nobody is in two of them.")
    ] = "1000,500,1000",
    sequence: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="adni: which sequence folders count, such as 'MPR*Scaled'.")
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="NAME", help="bids: which images count; T1w when left out.")
    ] = None,
    repeats: Annotated[
        Literal["leave", "first"],
        typer.Option(help="Several images of one visit: leave the visit out and list it, or take the first by name."),
    ] = "leave",
    days: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="DAYS", help="adni: a scan belongs to the nearest visit within this; 60 when left out."
        ),
    ] = None,
    missing: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Write all that is missing: subject,visit,reason. The first are told anyhow."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of who goes where and which pairs are drawn.")] = 0,
) -> None:
    """Make a table of pairs from scans that you have.

    Scans that are missing, or that cannot be told apart, are listed and left out, never guessed.

    Example: stnreg pairs adni ADNI -o PAIRS.csv --kind longitudinal --table TADPOLE_D1_D2.csv --sequence 'MPR*'
    """
    from stnreg.core.files import check_output, write_atomic
    from stnreg.datasets.adni import DAYS, find_adni
    from stnreg.datasets.draw import SPLITS, draw_pairs
    from stnreg.datasets.trees import find_bids, find_folder
    from stnreg.reports import streams

    _refuse(source, {"--table": table, "--sequence": sequence, "--days": days}, "adni")
    _refuse(source, {"--suffix": suffix}, "bids")
    counts = _counts(split)
    for path in filter(None, (output, missing)):
        check_output(path, inputs=filter(None, [table]))
    if source == "adni":
        found = find_adni(root, table, sequence or "*", repeats, DAYS if days is None else days)
    else:
        found = find_bids(root, suffix or "T1w", repeats) if source == "bids" else find_folder(root)
    drawn = draw_pairs(found.scans, kind, counts, seed)
    write_atomic(output, _table(COLUMNS, (_row(number, pair, output) for number, pair in enumerate(drawn))))
    if missing:
        write_atomic(
            missing, _table(("subject", "visit", "reason"), ((m.subject, m.visit, m.reason) for m in found.missing))
        )
    for one in found.missing[:SHOWN]:
        streams.note(f"missing: {one.subject} {one.visit}: {one.reason}")
    if found.missing:
        streams.note(f"{len(found.missing)} missing in all" + ("" if missing else "; --missing FILE.csv lists them"))
    for name, count in zip(SPLITS, counts, strict=True):
        there = sum(pair.split == name for pair in drawn)
        if there < count:
            streams.note(f"{name}: {there} pairs, of {count} asked for: there are no more without using one twice")
    people = len({scan.subject for scan in found.scans})
    streams.note(f"{len(drawn)} pairs from {len(found.scans)} scans of {people} people are listed in {output}")


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
    people_and_visits = fixed.subject, moving.subject, fixed.visit, moving.visit
    return f"{number:05d}", pair.split, *(_relative(s.path, table) for s in (fixed, moving)), *people_and_visits


def _relative(path: Path, table: Path) -> str:
    return os.path.relpath(path.absolute(), table.absolute().parent)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
