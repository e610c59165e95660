"""`stnreg apply-transform`: bring an image, or points, through transforms that are already there."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.commands import _options as options
from stnreg.commands.outputs import warn_of_blurring
from stnreg.errors import UsageProblem


def apply_transform(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Resampled image to write, .nii or .nii.gz; with --points, the mapped points as CSV.",
        ),
    ],
    transform: Annotated[
        list[str],
        typer.Option(
            "--transform",
            "-t",
            metavar="XFM",
            help="Linear transform to apply: ITK .tfm .txt .mat .h5, or FreeSurfer .lta. Repeat it for a chain: points "
            "of REFERENCE go through the transforms in the order given. Write inv:FILE to invert one, ras:FILE for "
            "a bare 4x4 matrix in RAS mm, and fsl:FILE for a FLIRT matrix. A FLIRT matrix stands first or last in a "
            "chain. Next to a transform of another kind it needs the image between the two: fsl:FILE,IMAGE.",
        ),
    ],
    moving: Annotated[
        Path | None, typer.Argument(metavar="MOVING", help="Image to resample.", show_default=False)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", "-r", metavar="REFERENCE", help="Fixed image: OUT is resampled on its grid."),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Invert the whole chain.")] = False,
    interp: options.Interp = "linear",
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    write_composed: Annotated[
        Path | None,
        typer.Option(
            metavar="XFM", help="Also write the whole chain as one transform: .tfm, .txt, .mat, .lta or .fslmat."
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
    """
    from stnreg.core.files import check_output
    from stnreg.core.threads import default_threads
    from stnreg.images.volume import check_image_output, load_reference, load_volume
    from stnreg.reports import streams
    from stnreg.resampling.apply import save_moved
    from stnreg.transforms.io.files import check_transform_output, save_transform
    from stnreg.transforms.io.links import load_chain, parse_link

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
    reference_to_moving = chain.matrix  # before the voxels, which may take long
    image = load_volume(moving, header_source, series=True, constant=True)
    for warning in (*onto.warnings, *image.warnings, *chain.warnings):
        streams.note(f"warning: {warning}")
    warn_of_blurring(image, interp)
    if write_composed is not None:
        save_transform(write_composed, reference_to_moving, fixed=onto, moving=whereabouts)
    save_moved(
        output,
        image,
        onto,
        reference_to_moving,
        interp=interp,
        background=background,
        dtype=dtype,
        threads=threads or default_threads(),
    )


def _apply_to_points(
    table_path: Path, is_ras: bool, links: list[str], is_inverted: bool, output: Path, write_composed: Path | None
) -> None:
    from stnreg.reports import streams
    from stnreg.transforms.io.files import save_transform
    from stnreg.transforms.io.links import load_chain
    from stnreg.transforms.io.points import load_points, save_points

    chain = load_chain(links, is_inverted=is_inverted)
    table = load_points(table_path)
    for warning in chain.warnings:
        streams.note(f"warning: {warning}")
    if write_composed is not None:
        save_transform(write_composed, chain.matrix)
    to_lps = (-1, -1, 1) if is_ras else (1, 1, 1)  # and back
    save_points(output, chain.apply(table.points * to_lps) * to_lps, like=table)
