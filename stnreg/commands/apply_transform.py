"""`stnreg apply-transform`: bring an image, or points, through transforms that are already there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stnreg.commands import _options as options
from stnreg.commands._target import located
from stnreg.commands.outputs import parse_spacing, warn_of_blurring
from stnreg.errors import UsageProblem

if TYPE_CHECKING:
    from stnreg.images.volume import Reference
    from stnreg.transforms.base import Transform
    from stnreg.transforms.chain import Chain


def apply_transform(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Resampled image to write, .nii, .nii.gz, .mgz, .nrrd or .mha; with --points, a CSV.",
        ),
    ],
    transform: Annotated[
        list[str],
        typer.Option(
            "--transform",
            "-t",
            metavar="XFM",
            help="Transform to apply: ITK .tfm .txt .mat .h5, FreeSurfer .lta, or a displacement field .nii .nii.gz. "
            "Repeat it for a chain: points of REFERENCE go through the transforms in the order given, which is that of "
            "ANTs. Write inv:FILE to invert one, ras:FILE for a bare 4x4 matrix or a displacement field in RAS mm, and "
            "fsl:FILE for a FLIRT matrix or a field of FSL. A FLIRT matrix stands first or last in a chain. Next to a "
            "transform of another kind it needs the image between the two: fsl:FILE,IMAGE. A field of FSL that does "
            "not stand last needs its moving image in the same way.",
        ),
    ],
    moving: Annotated[
        Path | None, typer.Argument(metavar="MOVING", help="Image to resample.", show_default=False)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", "-r", metavar="REFERENCE", help="Fixed image or template: OUT is resampled on its grid."
        ),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Invert the whole chain.")] = False,
    interp: options.Interp = "linear",
    spacing: options.Spacing = None,
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    write_composed: Annotated[
        Path | None,
        typer.Option(
            metavar="XFM",
            help="Also write the whole chain as one transform: .nii.gz, .nii (displacement field on the grid of "
            "REFERENCE) or .h5 hold any; .tfm, .txt, .mat, .lta and .fslmat hold linear ones.",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Map the points of this table (columns x, y, z, in mm) instead of an image: from REFERENCE to MOVING, "
            "or with --invert from MOVING to REFERENCE.",
        ),
    ] = None,
    points_space: Annotated[
        Literal["LPS", "RAS"] | None,
        typer.Option(
            help="Coordinate system of the points, read and written: LPS (ITK, ANTs) or RAS (FreeSurfer, nibabel). "
            "Required with --points."
        ),
    ] = None,
    header_source: options.HeaderSource = "auto",
    threads: options.Threads = None,
) -> None:
    """Apply transforms to an image, or to points.

    Everything is composed first and the image is resampled once, onto the grid of REFERENCE.

    Example: stnreg apply-transform labels.nii.gz -r t1.nii.gz -t moved.tfm -o labels-on-t1.nii.gz --interp label
    """
    from stnreg.core.files import check_output
    from stnreg.core.threads import default_threads
    from stnreg.images.volume import check_image_output, load_reference, load_volume
    from stnreg.reports import streams
    from stnreg.resampling.apply import save_moved
    from stnreg.transforms.io.files import check_transform_output
    from stnreg.transforms.io.links import load_chain, parse_link

    moving, reference = (None if image is None else located(image) for image in (moving, reference))
    spacing_mm = parse_spacing(spacing)
    inputs = [path for path in (moving, reference, points) if path is not None and str(path) != "-"]
    inputs += [path for link in transform for path in parse_link(link).paths]
    if str(output) != "-":
        check_output(output, inputs)
    if write_composed is not None:
        check_output(write_composed, [*inputs, output])
        check_transform_output(write_composed)
    if points is not None:
        if moving is not None or reference is not None:
            raise UsageProblem("--points takes no MOVING and no -r: choose an image, or points")
        if points_space is None:
            raise UsageProblem("--points needs --points-space LPS or RAS (ITK, ANTs: LPS; FreeSurfer, nibabel: RAS)")
        _apply_to_points(points, points_space == "RAS", transform, invert, output, write_composed)
        return
    if moving is None or reference is None:
        raise UsageProblem("expected MOVING and -r REFERENCE, or --points CSV")
    check_image_output(output)
    onto = load_reference(reference, header_source)
    whereabouts = load_reference(moving, header_source)
    chain = load_chain(transform, onto, whereabouts, is_inverted=invert)
    if write_composed is not None:
        _check_composed(write_composed, chain)
    image = load_volume(moving, header_source, series=True, constant=True)
    for warning in (*onto.warnings, *image.warnings, *chain.warnings):
        streams.note(f"warning: {warning}")
    warn_of_blurring(image, interp)
    through: Transform = chain
    if write_composed is not None:
        through = _write_composed(write_composed, chain, onto, whereabouts, threads or default_threads())
    save_moved(
        output,
        image,
        onto,
        through,
        interp=interp,
        background=background,
        dtype=dtype,
        threads=threads or default_threads(),
        spacing_mm=spacing_mm,
    )


def _check_composed(path: Path, chain: "Chain", *, has_reference: bool = True) -> None:
    """Refuse, before the voxels are read, to write a chain into a file that cannot hold it."""
    from stnreg.transforms.io.files import LINEAR_SUFFIXES

    holds_fields = not path.name.lower().endswith(LINEAR_SUFFIXES)
    if chain.matrix is None and not holds_fields:
        raise UsageProblem(
            f"--write-composed {path}: the chain is non-linear, and {path.suffix} holds only linear transforms. Write "
            "it as .nii.gz (one displacement field) or .h5 (ITK's composite)"
        )
    if not has_reference and holds_fields and (chain.matrix is None or path.suffix.lower() != ".h5"):
        raise UsageProblem(
            f"--write-composed {path}: a displacement field lies on the grid of a reference, and --points has none. "
            "Write it with an image: stnreg apply-transform MOVING -r REFERENCE -t ... -o OUT --write-composed FILE"
        )


def _write_composed(path: Path, chain: "Chain", onto: "Reference", moving: "Reference", threads: int) -> "Transform":
    """Write a chain as one transform, and return it as it is from there on: what is sampled is not sampled twice."""
    from stnreg.transforms.io.files import save_transform

    one = chain if chain.matrix is not None else chain.to_displacement(onto.grid)
    save_transform(path, one, fixed=onto, moving=moving, threads=threads)
    return one


def _apply_to_points(
    table_path: Path, is_ras: bool, links: list[str], is_inverted: bool, output: Path, write_composed: Path | None
) -> None:
    from stnreg.reports import streams
    from stnreg.transforms.io.files import save_transform
    from stnreg.transforms.io.links import load_chain
    from stnreg.transforms.io.points import load_points, save_points

    chain = load_chain(links, is_inverted=is_inverted)
    if write_composed is not None:
        _check_composed(write_composed, chain, has_reference=False)
    table = load_points(table_path)
    for warning in chain.warnings:
        streams.note(f"warning: {warning}")
    if write_composed is not None:
        save_transform(write_composed, chain)
    to_lps = (-1, -1, 1) if is_ras else (1, 1, 1)  # and back
    save_points(output, chain.map_points(table.points * to_lps) * to_lps, like=table)
