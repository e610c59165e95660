"""`stnreg register`: register one image to another."""

from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from stnreg.commands import _options as options
from stnreg.commands._target import ListTemplates, To, located, target
from stnreg.commands.outputs import (
    as_written,
    carry_along,
    check_outputs,
    command_line,
    draw_qc,
    holds_warp,
    parse_also,
    parse_spacing,
    print_summary,
    start_files,
    transform_outputs,
    warn_of_blurring,
    warp_beside,
)
from stnreg.errors import ExitCode, StnregError, UsageProblem


def register(
    context: typer.Context,
    fixed: Annotated[
        Path,
        typer.Argument(
            metavar="FIXED",
            help="Fixed (reference) image, or the name of a template: MNI152, or one that TemplateFlow has fetched.",
            show_default=False,
        ),
    ],
    moving: Annotated[Path, typer.Argument(metavar="MOVING", help="Image to register to FIXED.", show_default=False)],
    output: options.ImageOutput = None,
    transform: options.TransformOutputs = [],  # noqa: B006 (Typer reads it, nobody writes it)
    to: To = None,
    dof: options.Dof = 12,
    model: options.Model = "anatomy",
    init: options.Init = "auto",
    refine: options.Refine = True,
    deform: options.Deform = False,
    stiffness_mm: options.Stiffness = None,
    fixed_mask: options.FixedMask = None,
    moving_mask: options.MovingMask = None,
    fixed_exclude: options.FixedExclude = None,
    moving_exclude: options.MovingExclude = None,
    volume: options.VolumeChoice = None,
    interp: options.Interp = "linear",
    spacing: options.Spacing = None,
    background: options.Background = 0.0,
    dtype: options.Dtype = "float32",
    also: Annotated[
        list[str],
        typer.Option(
            metavar="IN=OUT[:INTERP]",
            help="Also resample IN, an image in the space of MOVING, with the same transform, and write OUT. "
            "INTERP is its interpolation; that of --interp when left out. Repeatable.",
        ),
    ] = [],  # noqa: B006
    inverse: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Also write FIXED resampled on the grid of MOVING."),
    ] = None,
    warp: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="With --deform: write the warp here, a displacement field on the grid of FIXED: .nii or .nii.gz. "
            "When left out: moved_warp.nii.gz for -o moved.nii.gz, unless a -t file holds the warp.",
        ),
    ] = None,
    inverse_warp: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="With --deform: write the inverse warp, on the grid of MOVING: .nii or .nii.gz."
        ),
    ] = None,
    jacobian: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="With --deform: write the natural logarithm of the Jacobian determinant of the warp, without the "
            "affine, on the grid of FIXED: .nii or .nii.gz. Above 0 MOVING is larger there.",
        ),
    ] = None,
    update_header: Annotated[
        bool,
        typer.Option(
            "--update-header",
            help="Do not resample: write the voxels of MOVING unchanged, with a header that aligns them with FIXED. "
            "Requires --dof 6.",
        ),
    ] = False,
    qc: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG|SVG|HTML",
            help="Picture to check the registration by: FIXED with the edges of MOVING, before and after. .svg "
            "flickers between before and after; .html is a page that scrolls through the slices and alternates "
            "between the two images.",
        ),
    ] = None,
    json: options.Json = None,
    quiet: options.Quiet = False,
    header_source: options.HeaderSource = "auto",
    on_fail: options.OnFail = "exit",
    min_score: options.MinScore = None,
    max_seconds: options.MaxSeconds = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    list_templates: ListTemplates = False,
) -> None:
    """Register MOVING to FIXED: affine, or deformable.

    The transform maps points of FIXED to points of MOVING, in LPS mm, as ITK and ANTs write it: through the smooth,
    invertible warp first, if there is one, and then the affine. Give at least one of -o, -t, --inverse, --also and
    --json.

    Exit status: 0 done, 2 wrong usage, 3 rejected by the quality assessment (the outputs are written; --on-fail warn
    makes it 0), 4 a file that cannot be read, used or written.

    Example: stnreg register MNI152 t1.nii.gz -o t1-in-mni.nii.gz --qc check.html
    """
    begun = perf_counter()
    from stnreg.images.header_only import save_in_place
    from stnreg.models.runtime import device_for
    from stnreg.registration.options import RegistrationOptions
    from stnreg.registration.quality import failure
    from stnreg.registration.register import register_pair
    from stnreg.reports import description, streams

    dof, deform = target(context, to, dof, deform)
    fixed, moving = located(fixed), located(moving)
    fields = {"warp": warp, "inverse_warp": inverse_warp, "jacobian": jacobian}
    if not deform and any(fields.values()):
        raise UsageProblem("--warp, --inverse-warp and --jacobian need --deform")
    if deform and update_header:
        raise UsageProblem("--update-header cannot hold a deformation; leave out --deform")
    transforms = transform_outputs(output, transform)
    if deform and warp is None and not any(holds_warp(path) for path in transforms):
        fields["warp"] = warp_beside(output) if output is not None else None
        if output is None and transforms:
            streams.note("warning: without --warp, or a -t that ends in .h5, the affine alone is written")
    more = [parse_also(text, interp) for text in also]
    masks = {
        "fixed_mask": fixed_mask,
        "moving_mask": moving_mask,
        "fixed_exclude": fixed_exclude,
        "moving_exclude": moving_exclude,
    }
    inputs = [fixed, moving, *(one.image for one in more), *(path for path in masks.values() if path is not None)]
    inputs += start_files(init)
    others = [one.output for one in more] + [path for path in (inverse, *fields.values()) if path is not None]
    if update_header and (dof != 6 or output is None):
        raise UsageProblem("--update-header needs -o OUT and --dof 6: a header cannot hold scales or shears")
    if update_header and spacing is not None:
        raise UsageProblem("--update-header leaves the voxels as they are; leave out --spacing")
    sampling: dict[str, Any] = {"background": background, "dtype": dtype}
    spaced: dict[str, Any] = {**sampling, "spacing_mm": parse_spacing(spacing)}
    only_nifti = [path for path in (warp, inverse_warp, output if update_header else None) if path is not None]
    try:
        check_outputs(output, transforms, json, inputs, qc=qc, others=others, only_nifti=only_nifti)
        options_of_pair = RegistrationOptions(
            dof=dof,
            model=model,
            init=init,
            header_source=header_source,
            refine=refine,
            deform=deform,
            stiffness_mm=stiffness_mm,
            volume=volume,
            min_score=min_score,
            max_seconds=max_seconds,
            device=device_for(device, images=2),
            threads=threads,
        )
        result = register_pair(fixed, moving, options_of_pair, masks)
        for warning in result.warnings:
            streams.note(f"warning: {warning}")
        if output is not None and not update_header:
            warn_of_blurring(result.moving, interp)
        for path in transforms:
            result.save(transform=path)
        result.save(warp=fields["warp"], inverse_warp=inverse_warp, jacobian=jacobian)
        result = as_written(result, transforms, fields["warp"])
        if qc is not None:
            draw_qc(qc, result)
        for one in more:
            carry_along(one, result, header_source, **spaced)
        result.save(inverse=inverse, interp=interp, **sampling)
        if update_header and output is not None:
            save_in_place(output, moving, result.fixed_to_moving, header_source)
        else:
            result.save(output, interp=interp, **spaced)
    except StnregError as error:
        if json == "-":
            streams.write_json({"error": str(error), "command": command_line()}, "-")
        raise
    if json is not None:
        outputs: dict[str, Any] = {"image": output, "transforms": transforms, "qc": qc, "inverse": inverse}
        outputs |= {"also": [asdict(one) for one in more], **(fields if deform else {})}
        streams.write_json(
            description.describe_registration(result) | {"outputs": outputs, "command": command_line()}, json
        )
    message = failure(result.verdict)
    if message:
        streams.note(f"rejected: {message}")
    if not quiet:
        also_written = [qc, Path(json) if json not in (None, "-") else None]
        files = [output, *transforms, *others, *also_written]
        print_summary(result, [path for path in files if path is not None], perf_counter() - begun)
    if message and on_fail == "exit":
        raise typer.Exit(ExitCode.FAILED)
