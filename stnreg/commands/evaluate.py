"""`stnreg evaluate`: how well one image lies on another."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.errors import DataError, ExitCode, UsageProblem

PAIR_HEADER = ("metric", "label", "value", "unit")
TABLE_HEADER = (*PAIR_HEADER, "low", "high", "pairs")


def evaluate(
    fixed: Annotated[Path | None, typer.Argument(metavar="FIXED", help="Fixed image.", show_default=False)] = None,
    moved: Annotated[
        Path | None,
        typer.Argument(metavar="MOVED", help="Moving image, resampled on the grid of FIXED.", show_default=False),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Metrics to compute, separated by commas: dice, jaccard, hd, hd95, assd, mhd (overlap and surface "
            "distance, of labels or of the foreground), mi, nmi, ncc, mse (intensities), tre, params, jacobian "
            "(transform).",
        ),
    ] = "dice,hd,mi",
    fixed_labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Label map of FIXED.")] = None,
    moved_labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Label map of MOVED.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Label codes to measure, separated by commas; all when left out."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Mask on the grid of FIXED (non-zero: use), for intensities, tre and the jacobian of a displacement "
            "field; the whole grid when left out.",
        ),
    ] = None,
    foreground: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Threshold of the foreground, which is measured where there are no labels: nonzero, otsu, or share:S "
            "(above S times the 99th percentile); share:0.2 when left out.",
        ),
    ] = None,
    bins: Annotated[int, typer.Option(metavar="N", help="Number of histogram bins per image, for mi and nmi.")] = 64,
    transform: Annotated[
        Path | None,
        typer.Option(
            metavar="XFM",
            help="Estimated transform, fixed to moving, for tre, params, jacobian and --warp; a displacement field or "
            "composite too, but for params. Its jacobian is the mean, the standard deviation of the logarithm, the "
            "minimum, and the number of voxels where it folds.",
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="XFM", help="True transform, fixed to moving, for tre and params.")
    ] = None,
    warp: Annotated[
        bool,
        typer.Option(
            "--warp",
            help="MOVED and its labels are not resampled yet: resample them with --transform first (labels by nearest "
            "neighbour).",
        ),
    ] = False,
    before: Annotated[
        bool,
        typer.Option("--before", help="Also measure without the transform, as NAME_before. Requires --warp."),
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS.csv|-",
            help="Table of pairs to measure instead of FIXED and MOVED: columns fixed and moving; optional are id, "
            "fixed_labels, moving_labels, fixed_mask, transform, warp and truth. Moving images are resampled with the "
            "transform, and means have a 95 % bootstrap interval; - reads standard input.",
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write the results as JSON to a file, or to standard output (-)."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write the results as CSV to a file, or to standard output (-)."),
    ] = None,
    header_source: Annotated[
        Literal["auto", "sform", "qform"],
        typer.Option(
            help="Which matrix of a NIfTI header to use where sform and qform differ. auto: the sform, with a warning."
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of CPU threads; OMP_NUM_THREADS, or else the number of cores, when left out.",
        ),
    ] = None,
) -> None:
    """Measure the overlap and similarity of two images.

    Off a terminal each figure is a line metric, label, value, unit, tab-separated; with --pairs the interval and
    the number of pairs follow. Distances are between surfaces, in mm.

    Example: stnreg evaluate fixed.nii.gz moved.nii.gz --fixed-labels labels.nii.gz --moved-labels moved-labels.nii.gz
    """
    from stnreg.reports import streams

    one_pair = fixed is not None and moved is not None
    if one_pair == (pairs is not None) or (fixed is not None and not one_pair):
        raise UsageProblem("expected either FIXED and MOVED, or --pairs PAIRS.csv")
    if str(json) == str(csv) == "-":
        raise UsageProblem("--json - and --csv - both want standard output; send one of them to a file")
    options = {
        "metrics": [name.strip() for name in metrics.split(",") if name.strip()],
        "labels": _codes(labels),
        "foreground": foreground,
        "bins": bins,
        "before": before,
        "header_source": header_source,
        "threads": threads,
    }
    if pairs is not None:
        _evaluate_table(pairs, options, json, csv)
        return
    from stnreg.evaluation.evaluate import evaluate as measure

    files = {"fixed_labels": fixed_labels, "moved_labels": moved_labels, "mask": mask, "transform": transform}
    rows = measure(fixed, moved, **options, **files, truth=truth, warp=warp)
    if json:
        figures = [row._asdict() for row in rows]
        streams.write_json({"fixed": fixed, "moved": moved, "options": options | files, "measures": figures}, json)
    if csv:
        streams.write_csv(PAIR_HEADER, rows, csv)
    if "-" not in (str(json), str(csv)):
        streams.show_table(PAIR_HEADER, rows, title=f"{moved} on {fixed}")


def _evaluate_table(table: Path, options: dict, json: Path | None, csv: Path | None) -> None:
    """Measure every row of a table, summarise, and exit 4 if a row could not be read."""
    from stnreg.datasets.pair_table import BadRow, load_rows
    from stnreg.evaluation.table import evaluate_pair, summarise
    from stnreg.reports import streams

    measured, unreadable = {}, {}
    for pair in load_rows(table):
        if isinstance(pair, BadRow):
            unreadable[pair.id] = pair.reason
            streams.note(f"{pair.id}: {pair.reason}")
            continue
        try:
            measured[pair.id] = evaluate_pair(pair, **options)
        except DataError as error:
            unreadable[pair.id] = str(error)
            streams.note(f"{pair.id}: {error}")
    summary = summarise(measured.values())
    if json:
        figures = {name: [row._asdict() for row in rows] for name, rows in measured.items()}
        means = [dict(zip(TABLE_HEADER, row, strict=True)) for row in summary]
        streams.write_json({"options": options, "summary": means, "pairs": figures, "unreadable": unreadable}, json)
    if csv:
        rows = [(name, *row) for name, measures in measured.items() for row in measures]
        streams.write_csv(("id", *PAIR_HEADER), rows, csv)
    if "-" not in (str(json), str(csv)):
        streams.show_table(TABLE_HEADER, summary, title=f"{len(measured)} pairs of {table}, mean and 95 % interval")
    if unreadable:
        raise typer.Exit(ExitCode.DATA)


def _codes(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(code) for code in text.split(",") if code.strip()]
    except ValueError:
        raise UsageProblem(f"--labels {text}: expected whole numbers with commas between") from None
