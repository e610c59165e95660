"""`stnreg batch`: register all pairs of a table, or many images to one."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from stnreg.commands import _options as options
from stnreg.commands._batch_table import rows_of
from stnreg.commands._target import To, target
from stnreg.commands.outputs import parse_spacing
from stnreg.errors import ExitCode, UsageProblem

if TYPE_CHECKING:
    from stnreg.batch.task import Qc

QC_KINDS = ("none", "png", "svg", "html")
SHOWN = 20  # pairs without a good result that are listed on the terminal


def batch(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all outputs; created if it is missing.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS.csv|-|IMAGE",
            help="Table of pairs with the columns fixed and moving; optional are id, subject, fixed_mask, "
            "moving_mask and moving_labels. Paths are relative to the table; - reads it from standard input. With "
            "--fixed: images to register to it, folders of images, or patterns such as 'sub-*/anat/*_T1w.nii.gz'.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 (Typer reads it, nobody writes it)
    fixed: Annotated[
        Path | None,
        typer.Option(
            metavar="TEMPLATE|FILE",
            help="Fixed image of every IMAGE: a file, or the name of a template, such as MNI152.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of pairs to register at once; as many as cores and free memory allow when left out.",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler whose workers to use, tcp://HOST:PORT; processes on this machine when left out.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Skip pairs that are done already with the same file contents and options."),
    ] = False,
    bids: Annotated[
        str | None,
        typer.Option(
            "--bids",
            metavar="[DATASET]",
            help="Name the outputs as BIDS derivatives, and make DIR a BIDS derivative dataset. With the folder of a "
            "BIDS dataset: register all its scans to --fixed.",
        ),
    ] = None,
    suffix: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Suffix of the scans of --bids DATASET to use; T1w when left out."),
    ] = None,
    image: Annotated[
        bool, typer.Option("--image/--no-image", help="Write each MOVING resampled on the grid of its FIXED.")
    ] = True,
    inverse: Annotated[
        bool, typer.Option("--inverse", help="Also write each FIXED resampled on the grid of its MOVING.")
    ] = False,
    qc: Annotated[
        str,
        typer.Option(
            metavar="none|png|svg|html|PAGE.html",
            help="Picture of each pair besides: png, svg (flickers between before and after) or html (a page of its "
            "own). PAGE.html: the place of the page of all pairs; DIR/index.html when left out.",
        ),
    ] = "none",
    to: To = None,
    dof: options.Dof = 12,
    model: options.Model = "anatomy",
    init: Annotated[
        Literal["auto", "header", "geometry", "moments"],
        typer.Option(
            help="Initial transform. auto: estimate it with the network; header: the identity, so that the headers are "
            "trusted; geometry: align the centres of the grids; moments: align the centres of mass."
        ),
    ] = "auto",
    refine: options.Refine = True,
    deform: options.Deform = False,
    stiffness_mm: options.Stiffness = None,
    volume: options.VolumeChoice = None,
    interp: options.Interp = "linear",
    spacing: options.Spacing = None,
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    header_source: options.HeaderSource = "auto",
    quiet: options.Quiet = False,
    on_fail: options.OnFail = "exit",
    min_score: options.MinScore = None,
    max_seconds: options.MaxSeconds = None,
    device: options.Device = "auto",
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Number of CPU threads of each worker.")] = 1,
) -> None:
    """Register all pairs of a table, or many images to one.

    Pairs run in parallel on all cores, or on a Dask cluster. The transform, image and JSON of a pair go into DIR/ID,
    where characters of the id that do not suit a file name are written as %XX. DIR/results.csv has a row for each pair
    that is done. DIR/index.html shows all pairs, worst first: open it in a browser, accept or reject each, and export
    the decisions. Among scans of one fixed image it points out those that may have left and right exchanged, a lesion
    on one side, or another person than their name says. A pair that cannot be registered is recorded with the reason,
    and the others continue. With --deform the warp is moved_warp.nii.gz, beside the transform; --bids writes both as
    one composite, .h5.

    Exit status: 0 all accepted, 3 some rejected, 4 some without a result.

    Example: stnreg batch --fixed MNI152 scans/*.nii.gz -o in-mni
    """
    from stnreg.batch.derivatives import write_dataset
    from stnreg.batch.naming import bids as bids_names
    from stnreg.batch.naming import plain
    from stnreg.batch.plan import plan
    from stnreg.batch.pool import default_jobs
    from stnreg.batch.run import run_batch
    from stnreg.batch.task import Settings
    from stnreg.datasets.pair_table import Pair
    from stnreg.models.card import find
    from stnreg.models.runtime import device_for, parse_device
    from stnreg.registration.methods import method_of
    from stnreg.registration.options import RegistrationOptions
    from stnreg.reports import streams
    from stnreg.reports.study import write_study_page
    from stnreg.transforms.io.h5 import check_h5

    dof, deform = target(context, to, dof, deform)
    kind, page = pictures_of(qc, folder)
    spacing_mm = parse_spacing(spacing)
    parse_device(device)  # refused here, once, rather than by every worker
    if deform and bids is not None:
        check_h5("--bids with --deform, which writes a transform in HDF5,")
    if deform and not method_of(find(model)).deforms:
        raise UsageProblem(f"--deform needs an anatomy network; {model} is a pair network")
    table = rows_of(inputs, fixed, bids, suffix, folder)
    settings_of_all = RegistrationOptions(
        dof=dof,
        model=str(find(model).path.absolute()) if model.endswith(".onnx") else find(model).name,
        init=init,
        refine=refine,
        deform=deform,
        stiffness_mm=stiffness_mm,
        volume=volume,
        header_source=header_source,
        min_score=min_score,
        max_seconds=max_seconds,
        device=device_for(device, images=len(table)),
        threads=threads,
    )
    sampling = {"interp": interp, "background": background, "dtype": dtype, "spacing_mm": spacing_mm}
    settings = Settings(settings_of_all, sampling, image, inverse, kind)
    tasks, refused = plan(table, folder, settings, plain if bids is None else bids_names)
    with streams.progress("registering", quiet=quiet) as show:
        rows = run_batch(
            tasks,
            folder,
            jobs=jobs or default_jobs(threads),
            threads=threads,
            dask=dask,
            resume=resume,
            show=show,
            refused=refused,
            order=[row.id for row in table],
        )
    if bids is not None:
        write_dataset(folder, [row for row in table if isinstance(row, Pair)])
    hints = write_study_page(page, rows, {task.pair.id: task.shown for task in tasks})
    for line in [*culprits(rows), *hints]:
        streams.note(line)
    if not quiet:
        streams.note(summary(rows, folder, page))
    raise typer.Exit(exit_code(rows, on_fail))


def pictures_of(qc: str, folder: Path) -> "tuple[Qc, Path]":
    """Return the kind of picture of each pair, and the place of the page of all pairs.

    Raises
    ------
    UsageProblem
        If it is neither a kind nor the name of a page.
    """
    if qc in QC_KINDS:
        return cast("Qc", qc), folder / "index.html"
    if Path(qc).suffix.lower() not in (".html", ".htm"):
        raise UsageProblem(
            f"--qc {qc}: expected png, svg or html for a picture of each pair, or PAGE.html for the page of all pairs"
        )
    return "none", Path(qc)


def summary(rows: list[dict[str, Any]], folder: Path, page: Path) -> str:
    """Say in one line what came of a batch."""
    counts = Counter(row["status"] for row in rows)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{len(rows)} pairs: {told}. Results: {folder / 'results.csv'}; page to look and decide: {page}"


def culprits(rows: list[dict[str, Any]]) -> list[str]:
    """Say of each pair that failed or has no result why, of the first of them where they are many."""
    told = [f"{row['id']}: {row['reasons']}" for row in rows if row["status"] in ("failed", "error", "lost")]
    more = len(told) - SHOWN
    return [*told[:SHOWN], *([f"and {more} more, see results.csv"] if more > 0 else [])]


def exit_code(rows: list[dict[str, Any]], on_fail: str) -> ExitCode:
    """Return 4 where a pair has no result, else 3 where one was judged failed and that is to be told, else 0."""
    statuses = {row["status"] for row in rows}
    if statuses & {"error", "lost"}:
        return ExitCode.DATA
    return ExitCode.FAILED if "failed" in statuses and on_fail == "exit" else ExitCode.OK
