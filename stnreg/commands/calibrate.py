"""`stnreg calibrate`: what a trained anatomy network needs beside its weights, measured on validation scans."""

from pathlib import Path
from typing import Annotated

import typer

from stnreg.commands import _options as options
from stnreg.errors import ExitCode


def calibrate(
    network: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.onnx", help="Anatomy network; its sidecar names the pose network.", show_default=False
        ),
    ],
    scans: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder that the network was trained on, with ixi/ (scans and DLMUSE labels) and labelmaps/ "
            "(FreeSurfer codes).",
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
            help="Table of registrations (columns kind, outcome, score, gate) to choose the least score on, instead "
            "of the few hundred that are made here.",
        ),
    ] = None,
    thresholds: Annotated[
        bool,
        typer.Option(
            "--thresholds/--no-thresholds",
            help="Choose the thresholds of the verdict too: minutes, where the spread takes seconds.",
        ),
    ] = True,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing: show what is measured beside what the sidecar holds, and exit with status 4 where a "
            "spread differs by more than 0.05 mm.",
        ),
    ] = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Measure how far a network is off, and its thresholds.

    They are measured on the validation scans of its training and written into FILE.json, and into the sidecar of its
    pose network: how far the centroid of each structure lies from that of its labels, which decides how much it
    counts, and the thresholds by which a registration is accepted. register refuses a network without them. Each line
    is name, measured, sidecar, rule; tab-separated off a terminal.
    """
    from stnreg.models.card import find
    from stnreg.reports import streams
    from stnreg.training.anatomy.calibrate import measure, table, write_sidecars

    with streams.progress("calibrate") as show:
        found = measure(
            find(str(network)),
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
    for path in write_sidecars(found):
        typer.echo(path)
