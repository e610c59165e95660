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
    preset: Annotated[str, typer.Option(help="Where settings start from: default, paper or tiny.")] = "default",
    config: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Settings over the preset's.")] = None,
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
    epochs: Annotated[int | None, typer.Option(help="Train this long.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda[:N].")] = None,
    threads: Annotated[int | None, typer.Option(help="Of the CPU.", min=1)] = None,
) -> None:
    """Train a network: a pair network, unsupervised, on random moves of scans, or an anatomy network on label maps.

    RUN receives last.ckpt, best.ckpt (by validation) and metrics.csv. Continue an interrupted run with --resume.
    """
    from stnreg.training import require_training

    require_training()
    from stnreg.training.anatomy.run import is_anatomy, train_anatomy
    from stnreg.training.run import PairRun, train_pair

    teach = train_anatomy if is_anatomy(model) else train_pair
    best = teach(
        PairRun(
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
            epochs=epochs,
            threads=threads,
            device=device,
        )
    )
    typer.echo(best)
