"""Options that several verbs share, each declared once: its name, its help, its units."""

from pathlib import Path
from typing import Annotated, Literal

import typer

InterpolationName = Literal["linear", "nearest", "bspline", "lanczos", "label"]

ImageOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="MOVING on the grid of FIXED: .nii or .nii.gz. Alone, also OUT's .tfm.",
    ),
]
TransformOutputs = Annotated[
    list[str],
    typer.Option(
        "--transform", "-t", metavar="XFM", help="Write the transform here: .tfm, .txt or .mat (ITK). Repeatable."
    ),
]
Interp = Annotated[
    InterpolationName, typer.Option(help="How to interpolate OUT. label: for label maps, whose type is kept.")
]
Background = Annotated[float, typer.Option(help="Value of OUT outside MOVING.")]
Dtype = Annotated[Literal["float32", "same"], typer.Option(help="Type of OUT; same as MOVING, or 32-bit float.")]
Json = Annotated[
    str | None, typer.Option(metavar="FILE|-", help="Write what was found as JSON; - for standard output.")
]
HeaderSource = Annotated[
    Literal["auto", "sform", "qform"],
    typer.Option(help="Which form to believe where qform and sform differ: auto is the sform, with a warning."),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads to use; OMP_NUM_THREADS, or the cores, when left out.")
]
