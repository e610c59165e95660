"""`stnreg baseline`: align one image to another with somebody else's method, in the form of `register`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stnreg.baselines.recipes import RECIPES, SIMPLEITK_METRICS
from stnreg.commands import _options as options
from stnreg.commands.outputs import check_outputs, command_line, transform_outputs, warn_of_blurring
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

    SimpleITK comes with stnreg. A method whose program is missing says how to install it. The transform maps points of
    FIXED to points of MOVING, in LPS mm, whatever the other tool writes. There is no quality assessment.
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
    transforms = transform_outputs(output, transform)
    check_outputs(output, transforms, json, [fixed, moving])
    writing: dict[str, Any] = {"interp": interp, "background": background, "dtype": dtype}
    try:
        document = _run(fixed, moving, output, transforms, method, metric, header_source, threads, writing)
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
    method: str,
    metric: str | None,
    header_source: Any,
    threads: int,
    writing: dict[str, Any],
) -> dict[str, Any]:
    from stnreg.baselines.run import align
    from stnreg.core.clock import Clock
    from stnreg.reports import description, streams
    from stnreg.resampling.apply import save_moved
    from stnreg.transforms.io.files import save_transform

    found = align(fixed, moving, method, metric=metric, header_source=header_source, threads=threads)
    for warning in (*found.fixed.warnings, *found.moving.warnings):
        streams.note(f"warning: {warning}")
    if output is not None:
        warn_of_blurring(found.moving, writing["interp"])
    clock = Clock()
    with clock.stage("write"):
        for path in transforms:
            save_transform(path, found.fixed_to_moving, fixed=found.fixed, moving=found.moving)
        if output is not None:
            save_moved(output, found.moving, found.fixed, found.fixed_to_moving, threads=threads, **writing)
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
        "outputs": {"image": output, "transforms": transforms},
    }
