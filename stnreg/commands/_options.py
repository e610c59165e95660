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
        help="Resampled image to write: MOVING on the grid of FIXED, .nii, .nii.gz, .mgz, .nrrd or .mha. Without -t, "
        "the transform is written beside it as .tfm.",
    ),
]
TransformOutputs = Annotated[
    list[str],
    typer.Option(
        "--transform",
        "-t",
        metavar="XFM",
        help="Transform to write: .tfm, .txt or .mat (ITK), .lta (FreeSurfer) or .fslmat (FLIRT). "
        "With register --deform also .h5, .nii or .nii.gz, which hold the warp. Repeatable.",
    ),
]
Interp = Annotated[
    InterpolationName,
    typer.Option(help="Interpolation of OUT. Use label for label maps: it keeps the labels and their data type."),
]
Background = Annotated[float, typer.Option(help="Value of voxels of OUT that lie outside MOVING.")]
Dtype = Annotated[
    Literal["float32", "same"], typer.Option(help="Data type of OUT: 32-bit float, or the same as MOVING.")
]
Spacing = Annotated[
    str | None,
    typer.Option(
        metavar="MM|X,Y,Z",
        help="Voxel size of OUT in mm, over the field of view of the fixed image: one number, or one for each voxel "
        "axis. As in the fixed image when left out.",
    ),
]
Dof = Annotated[
    int,
    typer.Option(
        help="Degrees of freedom: 6 rigid, 7 similarity (one scale), 9 (one scale per axis) or 12 affine. Two images "
        "of one person are aligned rigidly, unless they show that more is needed."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.onnx",
        help="Network to use: the name of one that comes with stnreg (anatomy, affine or separate), or a file.",
        autocompletion=_model_names,
    ),
]
Init = Annotated[
    str,
    typer.Option(
        metavar="auto|header|geometry|moments|FILE",
        help="Initial transform. auto: estimate it with the network; header: the identity, so that the headers are "
        "trusted; geometry: align the centres of the grids; moments: align the centres of mass; FILE: a transform.",
    ),
]
Refine = Annotated[
    bool,
    typer.Option(
        "--refine/--no-refine",
        help="Refine the estimate on the intensities: inside both brain masks, or with a pair network (affine, "
        "separate) on the whole objects. Without it a pair network is not assessed either.",
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
    float | None,
    typer.Option(
        "--stiffness",
        metavar="MM",
        help="With --deform: smooth the deformation by a Gaussian of this standard deviation, in mm. Larger is "
        "smoother; 0 leaves it as the network predicts it. 1.5 between two people when left out, and 12 where both "
        "images show one person.",
    ),
]
FixedMask = Annotated[
    Path | None,
    typer.Option(
        metavar="M",
        help="Mask of FIXED for the refinement (non-zero: use); the brain, or with a pair network all, when left out.",
    ),
]
MovingMask = Annotated[
    Path | None,
    typer.Option(
        metavar="M",
        help="Mask of MOVING for the refinement (non-zero: use); the brain, or with a pair network all, when left out.",
    ),
]
FixedExclude = Annotated[
    Path | None,
    typer.Option(metavar="M", help="Part of FIXED that the refinement ignores (non-zero: ignore), such as a lesion."),
]
MovingExclude = Annotated[
    Path | None,
    typer.Option(metavar="M", help="Part of MOVING that the refinement ignores (non-zero: ignore), such as a lesion."),
]
VolumeChoice = Annotated[
    str | None,
    typer.Option(
        "--volume",
        metavar="N|mean",
        help="Volume of a 4-D image to register: its number, counted from 0, or mean for the mean of all volumes. "
        "OUT has all volumes. Required for a 4-D image.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no summary and no progress; warnings and errors are still printed.")
]
OnFail = Annotated[
    Literal["exit", "warn"],
    typer.Option(help="If a registration is rejected: exit with status 3, or warn and exit with status 0."),
]
MinScore = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Lowest score that is accepted; the network's calibrated value when left out."),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        "--max-seconds",
        metavar="S",
        help="Try no other pose of a head after this time. If the pair is rejected then, the message says so. No "
        "limit when left out; the number of poses that are tried is limited anyway.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda[:N]",
        help="Device that runs the network. auto: the CPU for a single pair, a GPU for a large batch if there is one.",
    ),
]
Json = Annotated[
    str | None, typer.Option(metavar="FILE|-", help="Write the results as JSON to a file, or to standard output (-).")
]
HeaderSource = Annotated[
    Literal["auto", "sform", "qform"],
    typer.Option(
        help="Which matrix of a NIfTI header to use where sform and qform differ. auto: the sform, with a warning."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Number of CPU threads; OMP_NUM_THREADS, or else the number of cores, when left out."),
]
