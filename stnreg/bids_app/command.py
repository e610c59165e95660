"""`stnreg-bids BIDS_DIR OUT_DIR participant|group`, as BIDS Apps are called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from stnreg import __version__
from stnreg.cli import run_program
from stnreg.commands import _options as options
from stnreg.commands._target import DOF
from stnreg.commands._verb import Verb
from stnreg.commands.batch import culprits, exit_code

LABELS = ("--participant-label", "--participant_label")


class BidsApp(Verb):
    """The command; `--participant-label` takes several labels, as in other BIDS Apps."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its labels, which end at the next option."""
        words: list[str] = []
        in_labels = False
        for word in args:
            if word.startswith("-"):
                in_labels = word in LABELS
            elif in_labels and words[-1] not in LABELS:
                words.append(LABELS[0])
            words.append(word)
        return super().parse_args(ctx, words)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stnreg-bids {__version__}")
        raise typer.Exit


def stnreg_bids(
    bids_dir: Annotated[Path, typer.Argument(metavar="BIDS_DIR", help="BIDS dataset.", show_default=False)],
    out_dir: Annotated[
        Path,
        typer.Argument(
            metavar="OUT_DIR", help="Folder of the derivative dataset; created if missing.", show_default=False
        ),
    ],
    level: Annotated[
        Literal["participant", "group"],
        typer.Argument(
            metavar="participant|group",
            help="participant: register the T1w images, and write a report of each person; group: make one table and "
            "one page of what is there.",
            show_default=False,
        ),
    ],
    participant_label: Annotated[
        list[str],
        typer.Option(
            *LABELS,
            metavar="LABEL",
            help="People to take, with or without sub-: one or more labels; all when left out.",
        ),
    ] = [],  # noqa: B006 (Typer reads it, nobody writes it)
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            "-w",
            metavar="DIR",
            help="Folder of what a run notes to go on later; OUT_DIR/.work when left out.",
        ),
    ] = None,
    nprocs: Annotated[
        int | None,
        typer.Option(
            "--nprocs",
            min=1,
            metavar="N",
            help="Number of images to register at once; as many as cores and free memory allow when left out.",
        ),
    ] = None,
    template: Annotated[
        Path,
        typer.Option(
            metavar="NAME|FILE", help="Fixed image: MNI152, a template that TemplateFlow has fetched, or a file."
        ),
    ] = Path("MNI152"),
    to: Annotated[
        Literal["rigid", "similarity", "affine", "deform"],
        typer.Option(
            metavar="rigid|similarity|affine|deform",
            help="Kind of transform. rigid to MNI152 aligns a head to AC-PC without changing its size; deform is an "
            "affine and a smooth warp.",
        ),
    ] = "affine",
    quiet: options.Quiet = False,
    on_fail: options.OnFail = "exit",
    device: options.Device = "auto",
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Register every T1w image of a BIDS dataset to a template.

    OUT_DIR becomes a BIDS derivative dataset: the moved images (space-..._T1w.nii.gz), the transforms
    (from-T1w_to-..._mode-image_xfm), a report of each person (sub-LABEL.html), and on the level group group_T1w.tsv and
    group_T1w.html, on which a person decides. A run goes on where an earlier one ended. Several runs may share OUT_DIR,
    each with its own people. A scan that cannot be registered is named with the reason, and the others continue.

    Exit status: 0 all accepted, 3 some rejected, 4 some without a result.

    Example: stnreg-bids /data/ds /data/ds/derivatives/stnreg participant --participant-label 01 02
    """
    from stnreg.bids_app.group import run_group
    from stnreg.bids_app.participants import run_participants
    from stnreg.models.runtime import parse_device
    from stnreg.reports import streams
    from stnreg.transforms.io.h5 import check_h5

    parse_device(device)
    if level == "group":
        rows = run_group(out_dir, participant_label)
        said = f"table: {out_dir / 'group_T1w.tsv'}; page: {out_dir / 'group_T1w.html'}"
    else:
        if to == "deform":
            check_h5("--to deform, which writes a transform in HDF5,")
        with streams.progress("registering", quiet=quiet) as show:
            rows = run_participants(
                bids_dir,
                out_dir,
                participant_label,
                template=template,
                dof=DOF[to],
                deform=to == "deform",
                work_dir=work_dir or out_dir / ".work",
                jobs=nprocs,
                device=device,
                show=show,
            )
        said = f"reports: {out_dir / 'sub-*.html'}"
    for line in culprits(rows):
        streams.note(line)
    if not quiet:
        statuses = [str(row["status"]) for row in rows]
        told = ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses)))
        streams.note(f"{len(rows)} images: {told}. {said[0].upper()}{said[1:]}")
    raise typer.Exit(exit_code(rows, on_fail))


def command() -> Any:
    """Build the command."""
    one = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    one.command("stnreg-bids", cls=BidsApp)(stnreg_bids)
    return typer.main.get_command(one)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line of `stnreg-bids` and exit with its status."""
    run_program(command, "stnreg-bids", arguments)
