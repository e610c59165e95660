"""`stnreg series`: the visits of one person in one space, for one person or many."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stnreg.commands import _options as options
from stnreg.commands.batch import culprits, exit_code
from stnreg.errors import UsageProblem

if TYPE_CHECKING:
    from stnreg.batch.series_task import SeriesTask


def series(
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all outputs; created if it is missing.")
    ],
    visits: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VISIT", help="Images of one person, two or more.", show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="SUBJECTS.csv",
            help="Many people: a table with the columns subject, session and image, one row for each visit; "
            "and exclude, a mask of what to ignore, if there is one.",
        ),
    ] = None,
    bids: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET", help="Many people: a BIDS dataset. DIR becomes a dataset of derivatives, with its names."
        ),
    ] = None,
    suffix: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Suffix of the images of the dataset to use; T1w when left out."),
    ] = None,
    dof: Annotated[
        int,
        typer.Option(
            help="Degrees of freedom: 6 for one scanner; 7 (one scale) or 9 (one scale per axis) if the scale of the "
            "scanners may differ; 12 affine."
        ),
    ] = 6,
    reference: Annotated[
        str,
        typer.Option(
            metavar="unbiased|first|FILE",
            help="Space of the template. unbiased: the mean space of all visits; first: that of the first visit; "
            "FILE: an image to which the template is registered.",
        ),
    ] = "unbiased",
    template: Annotated[
        Literal["median", "mean"], typer.Option(help="How the template is made of the visits.")
    ] = "median",
    change: Annotated[
        bool,
        typer.Option(
            "--change",
            help="Also measure what changed: the volumes of the brain and of its parts (changes.tsv), and maps of the "
            "logarithm of the volume change (VISIT_logjacobian.nii.gz). For voxels of about 1 mm; how exact it is was "
            "measured on simulated visits.",
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VISIT=MASK",
            help="Part of a visit to ignore (non-zero), such as a lesion or what takes up contrast agent; VISIT is its "
            "name without the ending. Once for each such visit; in a table the column exclude.",
        ),
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Voxel spacing of the template; the median of the visits' when left out."),
    ] = None,
    interp: Annotated[
        Literal["linear", "bspline", "lanczos"], typer.Option(help="Interpolation of all visits.")
    ] = "linear",
    image: Annotated[
        bool, typer.Option("--image/--no-image", help="Write each visit resampled in the space of the template.")
    ] = True,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="People at once; as many as cores and free memory allow when left out."),
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
        typer.Option("--resume", help="Skip people that are done already with the same file contents and options."),
    ] = False,
    model: options.Model = "anatomy",
    volume: options.VolumeChoice = None,
    header_source: options.HeaderSource = "auto",
    quiet: options.Quiet = False,
    on_fail: options.OnFail = "exit",
    min_score: options.MinScore = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Bring the visits of one person into one space.

    All visits are treated alike: pairs are registered, brought into agreement, and each visit is refined against a
    template in their mean space. DIR gets the template, each visit resampled once (VISIT.nii.gz), its transform from
    the template (VISIT.tfm, VISIT.lta), the transforms between visits (between/), a table (visits.tsv), series.json
    and a page that flickers through the visits (index.html). A visit that is judged failed, or shows another person,
    is reported and left out.

    With --table or --bids, each person has a folder, and DIR/results.csv a row.

    Exit status: 0 all visits are in, 3 some were left out, 4 some cannot be read.

    Example: stnreg series 2019.nii.gz 2021.nii.gz 2024.nii.gz -o visits
    """
    from stnreg.batch.series_naming import bids as bids_names
    from stnreg.batch.series_naming import in_folder, plain
    from stnreg.batch.series_task import SeriesTask
    from stnreg.core.files import check_input
    from stnreg.datasets.subject_table import Subject, load_subjects, session_names
    from stnreg.models.card import find
    from stnreg.models.runtime import device_for, parse_device
    from stnreg.registration.series.options import SeriesOptions
    from stnreg.reports import streams

    parse_device(device)
    given = list(visits or [])
    if sum([bool(given), table is not None, bids is not None]) != 1:
        raise UsageProblem("give the visits of one person, or --table SUBJECTS.csv, or --bids DATASET")
    if suffix is not None and bids is None:
        raise UsageProblem("--suffix names images of a BIDS dataset; give --bids too")
    if exclude and not given:
        raise UsageProblem("--exclude is for the visits of one person; a table has the column exclude")
    if not given and threads is None:
        threads = 1
    if reference not in ("unbiased", "first"):
        reference = str(check_input(Path(reference)).absolute())
    settings = SeriesOptions(
        dof=dof,
        reference=reference,
        average=template,
        change=change,
        interp=interp,
        spacing_mm=spacing,
        model=str(find(model).path.absolute()) if model.endswith(".onnx") else find(model).name,
        header_source=header_source,
        volume=volume,
        min_score=min_score,
        device=device_for(device, images=2),
        threads=threads,
    )
    scheme = in_folder if given else bids_names if bids is not None else plain
    if given:
        if len(given) < 2:
            raise UsageProblem(f"a series has two visits or more, got {len(given)}")
        names = tuple(session_names(given))
        people = [Subject(folder.absolute().name, names, tuple(given), _masks(exclude or [], names))]
    else:
        people = load_subjects(table) if table is not None else _of_dataset(bids, suffix or "T1w")
        for one in people:
            if len(one.images) < 2:
                streams.note(f"{one.id}: has one visit, and is left out")
        people = [one for one in people if len(one.images) > 1]
        if not people:
            raise UsageProblem(f"{table or bids}: nobody has two visits")
    tasks = [SeriesTask(_absolute(one), settings, scheme(one, folder.absolute()), image) for one in people]
    if given:
        _run_one(tasks[0], quiet, on_fail)
    else:
        _run_many(tasks, folder, jobs=jobs, dask=dask, resume=resume, quiet=quiet, on_fail=on_fail, dataset=bids)


def _run_one(task: "SeriesTask", quiet: bool, on_fail: str) -> None:
    """Register one series, and say what came of it."""
    from stnreg.reports import streams

    task.outputs.table.parent.mkdir(parents=True, exist_ok=True)
    row = task.run()
    for warning in filter(None, str(row.get("warnings") or "").split("; ")):
        streams.note(f"warning: {warning}")
    for line in str(row["reasons"]).split("; ") if row["reasons"] else []:
        streams.note(line)
    if not quiet and row.get("visits"):
        streams.note(
            f"{row['kept']} of {row['visits']} visits, {row['total_s']:.1f} s. Table: {task.outputs.table}; "
            f"page: {task.outputs.page}"
        )
    raise typer.Exit(exit_code([row], on_fail))


def _run_many(
    tasks: "list[SeriesTask]",
    folder: Path,
    *,
    jobs: int | None,
    dask: str | None,
    resume: bool,
    quiet: bool,
    on_fail: str,
    dataset: Path | None,
) -> None:
    """Register the series of many people, in parallel."""
    from stnreg.batch.derivatives import BIDS_VERSION
    from stnreg.batch.naming import link_name
    from stnreg.batch.pool import default_jobs
    from stnreg.batch.run import run_batch
    from stnreg.batch.series_task import COLUMNS
    from stnreg.reports import streams
    from stnreg.reports.description import versions

    threads = tasks[0].options.thread_count
    with streams.progress("series", quiet=quiet) as show:
        rows = run_batch(
            tasks,
            folder,
            jobs=jobs or default_jobs(threads, max(task.memory for task in tasks)),
            threads=threads,
            dask=dask,
            resume=resume,
            show=show,
            columns=COLUMNS,
        )
    if dataset is not None:
        root = dataset.absolute()
        streams.write_json(
            {
                "Name": f"stnreg: series in {folder.name}",
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "derivative",
                "GeneratedBy": [{"Name": "stnreg", "Version": versions()["stnreg"]}],
                "DatasetLinks": {link_name(root): root.as_uri()},
            },
            folder / "dataset_description.json",
        )
        _ignore(folder)
    for line in culprits(rows):
        streams.note(line)
    if not quiet:
        streams.note(f"{_counts(rows)}. Results: {folder / 'results.csv'}")
    raise typer.Exit(exit_code(rows, on_fail))


def _counts(rows: list[dict[str, Any]]) -> str:
    statuses = [str(row["status"]) for row in rows]
    told = ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses)))
    return f"{len(rows)} people: {told}"


def _ignore(folder: Path) -> None:
    """Name what the BIDS specification does not define."""
    from stnreg.core.files import write_atomic

    own = ("results.csv", ".results.csv.lock", "figures", "*_xfm.*", "*_visits.tsv", "*_changes.tsv", "*_series.json")
    write_atomic(folder / ".bidsignore", "\n".join((*own, "")).encode())


def _of_dataset(root: Path | None, suffix: str) -> "list[Any]":
    from stnreg.datasets.subject_table import subjects_of
    from stnreg.datasets.trees import find_bids
    from stnreg.reports import streams

    assert root is not None
    found = find_bids(root, suffix, "first")
    for one in found.missing:
        streams.note(f"{one.subject} {one.visit}: {one.reason}")
    return subjects_of(found.scans)


def _absolute(subject: Any) -> Any:
    from dataclasses import replace

    masks = {name: path.absolute() for name, path in subject.excludes.items()}
    return replace(subject, images=tuple(path.absolute() for path in subject.images), excludes=masks)


def _masks(given: list[str], names: tuple[str, ...]) -> dict[str, Path]:
    """Return the masks of the visits by name, from VISIT=MASK."""
    from stnreg.core.files import check_input

    found: dict[str, Path] = {}
    for one in given:
        name, _, mask = one.partition("=")
        if name not in names or not mask or name in found:
            raise UsageProblem(f"--exclude {one}: expected VISIT=MASK once for a visit; visits are {', '.join(names)}")
        found[name] = check_input(Path(mask))
    return found
