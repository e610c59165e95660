"""`stnreg preprocess`: the cubes that a network sees."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.commands import _options as options
from stnreg.errors import UsageProblem


def preprocess(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Image to prepare; several may be given.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the cubes; created if it is missing.")
    ],
    size: Annotated[int, typer.Option(min=2, metavar="N", help="Number of voxels along each axis of a cube.")] = 170,
    spacing: Annotated[
        str,
        typer.Option(
            metavar="MM|fov",
            help="Voxel size of a cube in mm. fov: the field of view of the image along each axis, divided by --size.",
        ),
    ] = "1.5",
    normalise: Annotated[
        Literal["minmax", "percentile"],
        typer.Option(
            help="How intensities are scaled to [0, 1]: by minimum and maximum, or by the 0.5 and 99.5 percentiles."
        ),
    ] = "minmax",
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FIXED",
            help="Resample on the cube of this image, with the centres of the two grids aligned, and write that "
            "translation as DIR/NAME.tfm; the image's own cube when left out.",
        ),
    ] = None,
    header_source: options.HeaderSource = "auto",
) -> None:
    """Prepare images as the input of pair networks.

    Each image is sampled on a cube along the LPS axes, with intensities in [0, 1]. IMAGE becomes DIR/NAME.nii.gz, a
    cube about the image's own middle. The header says where the cube lies, so it can be laid over the image; with
    --reference it lies on FIXED, and DIR/NAME.tfm says how it got there.
    """
    from stnreg.core.files import check_output
    from stnreg.images.suffixes import stem
    from stnreg.images.volume import Reference, load_volume, save_volume
    from stnreg.preprocessing.pipeline import cube_grid, prepare_image, prepare_pair
    from stnreg.reports.streams import note
    from stnreg.transforms.io.files import save_transform

    step = _spacing(spacing)
    outputs = {image: output / f"{stem(image)}.nii.gz" for image in images}
    if len({*outputs.values()}) < len(images):
        raise UsageProblem("two images have one name and would overwrite each other; prepare them into two folders")
    output.mkdir(parents=True, exist_ok=True)
    for path in outputs.values():
        check_output(path, images)
    fixed = None if reference is None else load_volume(reference, header_source)
    for image, path in outputs.items():
        volume = load_volume(image, header_source)
        for warning in volume.warnings:
            note(f"warning: {warning}")
        if fixed is None:
            cube = cube_grid(volume.grid, size, step)
            array = prepare_image(volume, cube, normalise)
        else:
            pair = prepare_pair(fixed, volume, size, step, normalise)
            cube, array = pair.fixed_grid, pair.moving
            save_transform(output / f"{stem(image)}.tfm", pair.start)
        save_volume(path, array, like=Reference(cube, None, differs=False, path=str(image)))


def _spacing(text: str) -> float | Literal["fov"]:
    if text == "fov":
        return "fov"
    try:
        return float(text)
    except ValueError:
        raise UsageProblem(f"--spacing {text}: expected millimetres, or fov") from None
