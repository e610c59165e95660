"""`stnreg register`: align one image to another."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.commands import _options as options
from stnreg.commands.outputs import check_outputs, command_line, transform_outputs
from stnreg.errors import ExitCode, StnregError


def register(
    fixed: Annotated[Path, typer.Argument(metavar="FIXED", help="The image to align to.", show_default=False)],
    moving: Annotated[Path, typer.Argument(metavar="MOVING", help="The image to align.", show_default=False)],
    output: options.ImageOutput = None,
    transform: options.TransformOutputs = [],  # noqa: B006 (Typer reads it, nobody writes it)
    dof: Annotated[
        int, typer.Option(help="Degrees of freedom: 6 rigid, 7 similarity, 9 with a scale per axis, 12 affine.")
    ] = 12,
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE.onnx", help="A network that comes with stnreg (see weights/), or a file.")
    ] = "anatomy",
    init: Annotated[
        str,
        typer.Option(
            metavar="auto|header|geometry|moments|FILE",
            help="Where to start: let the network find out, trust the headers, middles or centres of mass on each "
            "other, or a transform file.",
        ),
    ] = "auto",
    refine: Annotated[
        bool,
        typer.Option(
            "--refine/--no-refine",
            help="Let the intensities inside both brains have the last word (anatomy networks; a pair network's result "
            "stands as it is).",
        ),
    ] = True,
    interp: options.Interp = "linear",
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    qc: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw FIXED with the edges of MOVING, before and after.")
    ] = None,
    json: options.Json = None,
    header_source: options.HeaderSource = "auto",
    on_fail: Annotated[
        Literal["exit", "warn"],
        typer.Option(help="What a registration that is not believed does: exit with status 3, or only warn."),
    ] = "exit",
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score that is believed; a calibrated one when left out.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where the network runs.")] = "auto",
    threads: options.Threads = None,
) -> None:
    """Align MOVING to FIXED with an affine transform.

    The transform takes points of FIXED to points of MOVING, in LPS millimetres, as ITK and ANTs write it.
    """
    from stnreg import describe, registration, report
    from stnreg.inference.verdict import failure

    transforms = transform_outputs(output, transform)
    inputs = [fixed, moving, *([Path(init)] if init not in ("auto", "header", "geometry", "moments") else [])]
    try:
        check_outputs(output, transforms, json, inputs, qc=qc)
        result = registration.register(
            fixed,
            moving,
            dof=dof,
            model=model,
            init=init,
            header_source=header_source,
            refine=refine,
            min_score=min_score,
            device=device,
            threads=threads,
        )
        for warning in result.warnings:
            report.note(f"warning: {warning}")
        for path in transforms:
            result.save(transform=path)
        if qc is not None:
            from stnreg.picture import write_qc_png

            write_qc_png(qc, result.fixed, result.moving, result.fixed_to_moving, describe.summary(result))
        if output is not None:
            result.save(output, interp=interp, background=background, dtype=dtype)
    except StnregError as error:
        if json == "-":
            report.write_json({"error": str(error), "command": command_line()}, "-")
        raise
    if json is not None:
        outputs = {"image": output, "transforms": transforms, "qc": qc}
        report.write_json(
            describe.describe_registration(result) | {"outputs": outputs, "command": command_line()}, json
        )
    message = failure(result.verdict)
    if message:
        report.note(f"judged a failed registration: {message}")
        if on_fail == "exit":
            raise typer.Exit(ExitCode.FAILED)
