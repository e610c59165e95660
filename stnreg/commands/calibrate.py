"""`stnreg calibrate`: what a trained network needs beside its weights, measured on validation scans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stnreg.commands import _options as options
from stnreg.errors import ExitCode, UsageProblem

if TYPE_CHECKING:
    from stnreg.models.card import Weights


def calibrate(
    network: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.onnx",
            help="Anatomy network, whose sidecar names the pose network; velocity network; or pair network.",
            show_default=False,
        ),
    ],
    scans: Annotated[
        Path,
        typer.Option(
            metavar="DIR|PAIRS.csv",
            help="Folder that the network was trained on, with ixi/ (scans and DLMUSE labels) and labelmaps/ "
            "(FreeSurfer codes). For a pair network of other objects: table of pairs with their true transforms, as "
            "simulate writes it.",
            show_default=False,
        ),
    ],
    validation: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of scans, the last by name, that were kept for validation; as in training when left out.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Packed subjects that train wrote: templates and volumes are taken from them again."
        ),
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Table of registrations (columns kind, outcome, score, gate, same_person) to choose the least scores "
            "on, instead of the few hundred that are made here.",
        ),
    ] = None,
    thresholds: Annotated[
        bool,
        typer.Option(
            "--thresholds/--no-thresholds",
            help="Choose the thresholds of the verdict too: minutes, where the spread takes seconds.",
        ),
    ] = True,
    only: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Write this threshold alone, and leave all else in the sidecar as it is. Repeatable.",
        ),
    ] = [],  # noqa: B006 (Typer reads it, nobody writes it)
    pairs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of pairs of scans to deform, for a velocity network; 10 when left out. For a pair network: of "
            "the table; all when left out.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing: show what is measured beside what the sidecar holds, and exit with status 4 where a "
            "spread differs by more than 0.05 mm, or a limit of a velocity or pair network by more than 0.01.",
        ),
    ] = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Measure how far a network is off, and its thresholds.

    They are measured on the validation scans of its training and written into FILE.json, and into the sidecar of its
    pose network: how far the centroid of each structure lies from that of its labels, which decides how much it
    counts, and the thresholds by which a registration is accepted. Of a velocity network, validation heads are deformed
    from right affines and from wrong ones, and the limits are those that tell the two apart: minutes. With a pair
    network, moved scans are registered and refined, also from wrong estimates: minutes. register refuses an anatomy or
    velocity network without them, and leaves a pair network without them unassessed. Each line is name, measured,
    sidecar, rule; tab-separated off a terminal.
    """
    from stnreg.models.card import find
    from stnreg.reports import streams
    from stnreg.training.anatomy.calibrate import measure, table, write_sidecars, write_thresholds

    weights = find(str(network))
    if weights.kind in ("velocity", "pair") and (cache or outcomes or only or not thresholds):
        raise UsageProblem("--cache, --outcomes, --only and --no-thresholds are for anatomy networks")
    if weights.kind == "pair":
        _calibrate_pair(weights, scans, validation if pairs is None else pairs, check, device, threads)
        return
    if weights.kind == "velocity":
        _calibrate_velocity(weights, scans, validation, pairs, check, device, threads)
        return
    if pairs is not None:
        raise UsageProblem("--pairs is for velocity and pair networks")
    with streams.progress("calibrate") as show:
        found = measure(
            weights,
            scans,
            validation=validation,
            packed=cache,
            outcomes=outcomes,
            thresholds=thresholds,
            check=check,
            threads=threads,
            device=device,
            progress=show,
        )
    streams.show_table(("name", "measured", "sidecar", "rule"), table(found))
    if check:
        if not found.agrees:
            streams.note(f"{network.with_suffix('.json')}: holds another spread; write this one without --check")
            raise typer.Exit(ExitCode.DATA)
        return
    for path in [write_thresholds(found, only)] if only else write_sidecars(found):
        typer.echo(path)


def _calibrate_velocity(
    weights: "Weights",
    scans: Path,
    validation: int | None,
    pairs: int | None,
    check: bool,
    device: str,
    threads: int | None,
) -> None:
    """Measure the limits of a velocity network, and write or compare them."""
    from stnreg.reports import streams
    from stnreg.training.deformable.calibrate import limits_table, measure_limits

    with streams.progress("calibrate") as show:
        found = measure_limits(
            weights, scans, validation=validation, pairs=pairs, threads=threads, device=device, progress=show
        )
    streams.show_table(("name", "measured", "sidecar", "rule"), limits_table(found))
    if not check:
        typer.echo(found.write())
    elif not found.agrees:
        streams.note(f"{weights.path.with_suffix('.json')}: holds other limits; write these without --check")
        raise typer.Exit(ExitCode.DATA)


def _calibrate_pair(
    weights: "Weights", scans: Path, count: int | None, check: bool, device: str, threads: int | None
) -> None:
    """Measure the limits of a pair network's verdict, and write or compare them."""
    from stnreg.reports import streams
    from stnreg.training.pair_calibrate import measure_pair_limits, pair_limits_table

    with streams.progress("calibrate") as show:
        found = measure_pair_limits(weights, scans, validation=count, threads=threads, device=device, progress=show)
    streams.show_table(("name", "measured", "sidecar", "rule"), pair_limits_table(found))
    if not check:
        typer.echo(found.write())
    elif not found.agrees:
        streams.note(f"{weights.path.with_suffix('.json')}: holds other limits; write these without --check")
        raise typer.Exit(ExitCode.DATA)
