"""Options that several verbs share, each declared once: its name, its help, its units."""

from pathlib import Path
from typing import Annotated, Literal

import typer

InterpolationName = Literal["linear", "nearest", "bspline", "lanczos", "label"]


def _model_names() -> list[str]:
    """Name the networks, for a shell that completes `--model`; none where there are none, without a word."""
    from stnreg.errors import DataError
    from stnreg.models.card import names

    try:
        return names()
    except DataError:
        return []


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
        "--transform",
        "-t",
        metavar="XFM",
        help="Write the transform here: .tfm, .txt or .mat (ITK), .lta (FreeSurfer), .fslmat (FLIRT). Repeatable.",
    ),
]
Interp = Annotated[
    InterpolationName, typer.Option(help="How to interpolate OUT. label: for label maps, whose type is kept.")
]
Background = Annotated[float, typer.Option(help="Value of OUT outside MOVING.")]
Dtype = Annotated[Literal["float32", "same"], typer.Option(help="Type of OUT; same as MOVING, or 32-bit float.")]
Dof = Annotated[
    int, typer.Option(help="Degrees of freedom: 6 rigid, 7 similarity, 9 with a scale per axis, 12 affine.")
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.onnx",
        help="A network that comes with stnreg (see weights/), or a file.",
        autocompletion=_model_names,
    ),
]
Init = Annotated[
    str,
    typer.Option(
        metavar="auto|header|geometry|moments|FILE",
        help="Where to start: let the network find out, trust the headers, middles or centres of mass on each "
        "other, or a transform file.",
    ),
]
Refine = Annotated[
    bool,
    typer.Option(
        "--refine/--no-refine",
        help="Let the intensities inside both brains have the last word (anatomy networks; a pair network's result "
        "stands as it is).",
    ),
]
Deform = Annotated[
    bool,
    typer.Option(
        "--deform",
        help="Also deform MOVING onto FIXED: a smooth, invertible warp after the affine, for two people or a template.",
    ),
]
Stiffness = Annotated[
    float,
    typer.Option(
        "--stiffness",
        metavar="MM",
        help="With --deform: smooth the deformation by a Gaussian of this standard deviation, in mm. Larger is "
        "smoother; 0 leaves it as the network predicts it.",
    ),
]
FixedMask = Annotated[
    Path | None,
    typer.Option(metavar="M", help="Where in FIXED the refinement looks, instead of the brain (1 = look here)."),
]
MovingMask = Annotated[
    Path | None,
    typer.Option(metavar="M", help="Where in MOVING the refinement looks, instead of the brain (1 = look here)."),
]
FixedExclude = Annotated[
    Path | None, typer.Option(metavar="M", help="Where in FIXED it does not look (1 = not here): lesions, resections.")
]
MovingExclude = Annotated[
    Path | None, typer.Option(metavar="M", help="Where in MOVING it does not look (1 = not here): lesions, resections.")
]
VolumeChoice = Annotated[
    str | None,
    typer.Option(
        "--volume",
        metavar="N|mean",
        help="Which volume of a 4-D FIXED or MOVING to align by, from 0, or the mean of all. OUT holds all of them.",
    ),
]
OnFail = Annotated[
    Literal["exit", "warn"],
    typer.Option(help="What a registration that is not believed does: exit with status 3, or only warn."),
]
MinScore = Annotated[
    float | None, typer.Option(min=0, max=1, help="Least score that is believed; a calibrated one when left out.")
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda[:N]", help="Where the network runs; auto: a large batch on a GPU where there is one."
    ),
]
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
