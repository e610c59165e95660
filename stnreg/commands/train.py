"""`stnreg train`: a pair network from scans."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="RUN", help="Folder of the run.", show_default=False)
    ],
    pairs: Annotated[
        Path | None,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Pairs to train on: columns fixed,moving and, where wanted, split (train, validation or test).",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="What: a pair network by its head, affine (the matrix itself) or separate (bounded parameters), or an "
            "anatomy network, anatomy-pose or anatomy-fine. That of --from, or affine, when left out."
        ),
    ] = None,
    scans: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder of single scans to make pairs of by random moves; repeatable. For an anatomy network, one "
            "folder with ixi/ (scans and DLMUSE labels) and labelmaps/ (FreeSurfer codes)."
        ),
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(help="Keep this many of the first folder's scans, the last by name, for validation."),
    ] = None,
    terms: Annotated[
        list[str] | None,
        typer.Option(help="'NAME: TERMS' of the data, for the card of the weights; repeatable."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where settings start from: default (64^3 voxels of 4 mm, an hour of CPU), paper-affine or "
            "paper-separate (as published: 170^3 of 1.5 mm), or tiny (for trying). What --config names, or default, "
            "when left out.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help='Settings over the preset\'s: preset = "NAME" and tables [loop], [pair], [pair.model], [pair.moves], '
            "[pair.augment], [pair.loss].",
        ),
    ] = None,
    transforms: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="What separate estimates, out of shear, scale, rotation, translation, in the order in which they act "
            "on a point. All four, in this order, when left out.",
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where the prepared scans are kept; RUN/scans.npz when left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in RUN, with the settings it began with.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Weights to start from, .ckpt or .safetensors."),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Train without scans that cannot be used, and say which and how many; else the first ends it.",
        ),
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Train this long.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda[:N].")] = None,
    threads: Annotated[int | None, typer.Option(help="Of the CPU.", min=1)] = None,
) -> None:
    """Train a network: a pair network, unsupervised, on random moves of scans, or an anatomy network on label maps.

    RUN receives last.ckpt, best.ckpt (by validation), metrics.csv and curves.png, and TensorBoard's file where it is
    installed. Continue an interrupted run with --resume: the settings are in its checkpoint. On several GPUs or
    machines: torchrun --nproc-per-node N -m stnreg train ...
    """
    from stnreg.reports.streams import note
    from stnreg.training import require_training

    require_training()
    from stnreg.training.anatomy.run import is_anatomy, train_anatomy
    from stnreg.training.run import PairRun, train_pair

    wanted = PairRun(
        folder=output,
        head=model,
        preset=preset,
        config=config,
        pairs=pairs,
        scans=scans or (),
        validation=validation,
        terms=terms or (),
        cache=cache,
        resume=resume,
        start=start,
        transforms=transforms.split(",") if transforms else (),
        skip_bad=skip_bad,
        epochs=epochs,
        threads=threads,
        device=device,
    )
    if is_anatomy(model):
        typer.echo(train_anatomy(wanted))
        return
    trained = train_pair(wanted)
    if trained.is_first:
        for reason in trained.skipped:
            note(f"skipped: {reason}")
        if trained.skipped:
            note(f"{len(trained.skipped)} files were skipped")
        typer.echo(trained.best)
