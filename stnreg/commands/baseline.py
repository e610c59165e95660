"""`stnreg baseline`: align one image to another with somebody else's method, in the form of `register`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stnreg.baselines.recipes import RECIPES, SIMPLEITK_METRICS
from stnreg.commands import _options as options
from stnreg.commands.outputs import (
    check_outputs,
    command_line,
    start_files,
    transform_outputs,
    warn_of_blurring,
    warp_beside,
)
from stnreg.errors import StnregError, UsageProblem


def baseline(
    fixed: Annotated[
        Path | None, typer.Argument(metavar="FIXED", help="Fixed (reference) image.", show_default=False)
    ] = None,
    moving: Annotated[
        Path | None, typer.Argument(metavar="MOVING", help="Image to register to FIXED.", show_default=False)
    ] = None,
    output: options.ImageOutput = None,
    transform: options.TransformOutputs = [],  # noqa: B006 (Typer reads it, nobody writes it)
    method: Annotated[str, typer.Option(metavar="NAME", help=f"Method: {', '.join(RECIPES)}.")] = "sitk-affine",
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SIMPLEITK_METRICS),
            help="Similarity metric of the sitk methods; mi (Mattes) when left out.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of the methods that deform: start from this affine; from that of their own engine when left out.",
        ),
    ] = None,
    warp: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Of the methods that deform: write the warp here, a displacement field on the grid of FIXED: .nii or "
            ".nii.gz. When left out: moved_warp.nii.gz for -o moved.nii.gz.",
        ),
    ] = None,
    print_recipe: Annotated[
        bool,
        typer.Option(
            "--print-recipe",
            help="Print the commands and settings of the method and how to install it. Needs no images.",
        ),
    ] = False,
    interp: options.Interp = "linear",
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    json: options.Json = None,
    header_source: options.HeaderSource = "auto",
    threads: options.Threads = None,
) -> None:
    """Register MOVING to FIXED with another tool.

    Some methods also deform. SimpleITK comes with stnreg, but not with its small installation. A method whose program
    is missing says how to install it.

    The transform maps points of FIXED to points of MOVING, in LPS mm, whatever the other tool writes; a point goes
    through the warp first, and then through the affine. There is no quality assessment.
    """
    from stnreg.core.threads import default_threads
    from stnreg.reports import streams

    threads = threads or default_threads()
    if print_recipe:
        from stnreg.baselines.run import recipe_text

        print(recipe_text(method, metric, threads))
        if fixed is None:
            return
    if fixed is None or moving is None:
        raise UsageProblem("expected FIXED and MOVING, or --print-recipe alone")
    deforms = method in RECIPES and RECIPES[method].deforms
    if warp is not None and not deforms:
        raise UsageProblem(f"--warp: {method} does not deform")
    if deforms and warp is None and output is not None:
        warp = warp_beside(output)
    transforms = transform_outputs(output, transform)
    inputs = [fixed, moving, *(start_files(str(init)) if init is not None else [])]
    check_outputs(
        output,
        transforms,
        json,
        inputs,
        others=[warp] if warp is not None else [],
        only_nifti=[warp] if warp is not None else [],
    )
    writing: dict[str, Any] = {"interp": interp, "background": background, "dtype": dtype}
    choice = {"metric": metric, "init": init, "header_source": header_source}
    try:
        document = _run(fixed, moving, output, transforms, warp, method, choice, threads, writing)
    except StnregError as error:
        if json == "-":
            streams.write_json({"error": str(error), "command": command_line()}, "-")
        raise
    if json is not None:
        streams.write_json(document | {"command": command_line()}, json)


def _run(
    fixed: Path,
    moving: Path,
    output: Path | None,
    transforms: list[Path],
    warp: Path | None,
    method: str,
    choice: dict[str, Any],
    threads: int,
    writing: dict[str, Any],
) -> dict[str, Any]:
    from stnreg.baselines.run import align
    from stnreg.core.clock import Clock
    from stnreg.reports import description, streams
    from stnreg.resampling.apply import save_moved
    from stnreg.transforms.io.files import save_transform
    from stnreg.transforms.io.warp import save_warp

    found = align(fixed, moving, method, threads=threads, **choice)
    for warning in (*found.fixed.warnings, *found.moving.warnings):
        streams.note(f"warning: {warning}")
    if output is not None:
        warn_of_blurring(found.moving, writing["interp"])
    clock = Clock()
    with clock.stage("write"):
        for path in transforms:
            part = found.in_file(path)
            save_transform(path, part, fixed=found.fixed, moving=found.moving, threads=threads)
        if warp is not None and found.warp is not None:
            save_warp(warp, found.warp, found.fixed, threads=threads)
        if output is not None:
            save_moved(output, found.moving, found.fixed, found.transform, threads=threads, **writing)
    timings_s = found.timings_s | clock.seconds
    return {
        "fixed": fixed,
        "moving": moving,
        "transform": description.describe_transform(found.fixed_to_moving, found.fixed.grid, found.recipe.dof),
        "verdict": {
            "passed": None,
            "score": None,
            "reasons": [f"{method} has no quality assessment"],
            "same_person": None,
        },
        "metrics": {},
        "timings_s": {name: round(value, 4) for name, value in timings_s.items()},
        "model": {"name": method, "sha256": None},
        "device": "cpu",
        "threads": threads,
        "warnings": [*found.fixed.warnings, *found.moving.warnings],
        "versions": description.versions() | found.versions,
        "outputs": {"image": output, "transforms": transforms, "warp": warp},
    }
