"""`stnreg export`: a trained network made ready for `register`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="RUN/best.ckpt", help="Checkpoint that train wrote.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="NAME.onnx", help="Network to write.", show_default=False)
    ],
    half: Annotated[
        bool,
        typer.Option(
            "--half",
            help="Round the weights to half precision, which halves the file. They are still used in single precision.",
        ),
    ] = False,
    after: Annotated[
        Path | None,
        typer.Option(
            "--after",
            metavar="OTHER.onnx",
            help="Network in the same folder that this one belongs to; its sidecar is told. A pair network, whose last "
            "pass this is (preset last of train), or, for a synthesis network, the velocity network.",
        ),
    ] = None,
) -> None:
    """Write a trained network as ONNX, for register.

    NAME.json (what it is) and NAME.safetensors (its weights) are written beside NAME.onnx. Nothing is written
    unless onnxruntime gives the same numbers as torch.
    """
    from stnreg.training import require_training

    require_training()
    from stnreg.training.export import export_checkpoint

    card = export_checkpoint(checkpoint, output, half=half, after=after)
    typer.echo(f"{output}\t{card['sha256']}")
