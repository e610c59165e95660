"""`stnreg train`: a pair network from scans, all other networks from label maps."""

from pathlib import Path
from typing import Annotated

import typer

from stnreg.errors import UsageProblem


def train(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="RUN", help="Folder of the run; made if it is missing.", show_default=False
        ),
    ],
    pairs: Annotated[
        Path | None,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Table of pairs to train on: columns fixed and moving; optional is split (train, validation or test).",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network to train: a pair network, affine (estimates the matrix) or separate (estimates bounded "
            "parameters), an anatomy network, anatomy-pose or anatomy, velocity, which deforms, synthesis, which makes "
            "a T1-weighted image of any contrast, or a related method that deforms, linear-deformable, dual-guided or "
            "bspline; that of --from, or affine, when left out.",
        ),
    ] = None,
    scans: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Folder of single scans to make pairs of by random moves; repeatable. For all but pair networks: one "
            "folder with ixi/ (scans and DLMUSE labels) and labelmaps/ (FreeSurfer codes).",
        ),
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of scans of the first folder, the last by name, that are kept for validation; for all but "
            "pair networks those of ixi/, 18 when left out.",
        ),
    ] = None,
    terms: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: TERMS'", help="Name and licence of a data set, for the card of the weights; repeatable."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Settings to start from: default (64^3 voxels of 4 mm, an hour of CPU), last (the pass after "
            "those of such a network: 2 mm, ten minutes of CPU), paper-affine or paper-separate (as published: "
            "170^3 of 1.5 mm), or tiny (for a trial); relatives of the published method: "
            "sloan-cnn, sloan-fcn, sloan-implicit and sloan-explicit (rigid, 32^3 of 8 mm; with -2d for slices), and "
            "airnet; for all other networks default (from nothing) or tiny, and for anatomy and velocity networks and "
            "linear-deformable further (goes on with --from, at a lower rate); for velocity also twice and contrasts, "
            "and for bspline penalty (go on with --from); for bspline unbounded; what "
            "--config names, or default, when left out.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help='File of settings that replace those of the preset: preset = "NAME" and the tables [loop], [pair], '
            "[pair.model], [pair.moves], [pair.augment] and [pair.loss]; for an anatomy network [loop] and [anatomy], "
            "for velocity [velocity], for synthesis [synthesis], for a related method [loop] and [related].",
        ),
    ] = None,
    transforms: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Which of shear, scale, rotation and translation separate estimates, in the order in which they act"
            " on a point; all four, in this order, when left out.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="File for the prepared scans; RUN/scans.npz, or RUN/pack.npz for networks that deform, when left out.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in RUN, with the settings that it began with.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Weights to start from, .ckpt or .safetensors."),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Leave out scans that cannot be used, and say which; without it the first ends the run.",
        ),
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Number of epochs; that of the settings when left out.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Number of steps of velocity or synthesis; that of the settings when left out."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", min=0.01, help="Time to train velocity or synthesis for, in place of steps."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda[:N]", help="Device to train on; auto when left out.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Number of CPU threads; that of the settings when left out.")
    ] = None,
) -> None:
    """Train a network on your own scans.

    A pair network is trained without supervision on random moves of scans, all others on label maps. Export both
    anatomy networks into one folder, as anatomy-pose.onnx and anatomy.onnx, and calibrate them. Export synthesis beside
    velocity, with --after velocity.onnx, and then calibrate velocity. RUN receives last.ckpt, best.ckpt (by
    validation), metrics.csv and curves.png, and TensorBoard's file where it is installed; of velocity and synthesis,
    last.ckpt, weights.ckpt (to export) and log.jsonl. Continue an interrupted run with --resume: the settings are in
    its checkpoint. On several GPUs or machines, for pair networks: torchrun --nproc-per-node N -m stnreg train ...
    """
    from stnreg.reports.streams import note
    from stnreg.training import require_training

    require_training()
    from stnreg.training.anatomy.run import anatomy_model, train_anatomy
    from stnreg.training.deformable.command import packed_model, train_packed
    from stnreg.training.related.run import related_model, train_related
    from stnreg.training.run import PairRun, train_pair
    from stnreg.training.slices.run import is_slices, train_slices

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
    packed = packed_model(wanted)
    if packed is not None:
        typer.echo(train_packed(wanted, packed, steps=steps, minutes=minutes))
        return
    if steps is not None or minutes is not None:
        raise UsageProblem(
            "--steps and --minutes are for a velocity or synthesis network; others are trained for --epochs"
        )
    if related_model(wanted) is not None:
        typer.echo(train_related(wanted))
        return
    if is_slices(wanted):
        typer.echo(train_slices(wanted))
        return
    if anatomy_model(wanted) is not None:
        typer.echo(train_anatomy(wanted))
        return
    trained = train_pair(wanted)
    if trained.is_first:
        for reason in trained.skipped:
            note(f"skipped: {reason}")
        if trained.skipped:
            note(f"{len(trained.skipped)} files were skipped")
        typer.echo(trained.best)
