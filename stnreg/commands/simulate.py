"""`stnreg simulate`: pairs of images whose true transform is known."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.errors import UsageProblem


def simulate(
    kind: Annotated[
        Literal["affine", "rotated", "translated", "rototranslated", "heads", "cubes"],
        typer.Argument(
            help="What to make: known moves of a scan (the first four), heads with intensities simulated from label "
            "maps, or cubes with cracks and holes.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the pairs and PAIRS.csv; finished pairs in it are kept."
        ),
    ],
    split: Annotated[
        str, typer.Option(metavar="TRAIN,VALIDATION,TEST", help="Number of pairs of each split.")
    ] = "1000,500,1000",
    image: Annotated[
        list[Path], typer.Option(metavar="IMG", help="Scan to transform. Repeatable: the pairs use the scans in turn.")
    ] = [],  # noqa: B006 (Typer reads it, nobody writes it)
    labels: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR|FILE",
            help="Label maps. For heads: FreeSurfer codes, 500 and above outside the brain; each split has "
            "its own maps if there are enough. For a scan: its own label map. Repeatable.",
        ),
    ] = [],  # noqa: B006
    rotation: Annotated[
        float | None,
        typer.Option(metavar="DEG", help="Largest rotation about each axis, in degrees; 30 when left out."),
    ] = None,
    translation: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Largest translation along each axis, in mm; 30 when left out, 15 for cubes."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Largest change of scale along each axis, as a fraction; 0.15 when left out."
        ),
    ] = None,
    shear: Annotated[
        float | None, typer.Option(metavar="X", help="Largest shear; 0.1 when left out, none for cubes.")
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(
            metavar="C[,C]",
            help="Contrast of heads: t1, t2, flair or pd, for both images or FIXED,MOVING; 70 % of pairs T1 and the "
            "others any two when left out.",
        ),
    ] = None,
    follow_up: Annotated[
        bool,
        typer.Option(
            "--follow-up",
            help="Make heads of one person at two visits: a rigid transform, other noise and grid (256 and 170 voxels, "
            "in either order), a smooth deformation of 1.5 mm, and brain atrophy in every other pair.",
        ),
    ] = False,
    atrophy: Annotated[
        float, typer.Option(metavar="SHARE", help="Fraction of the brain volume that is lost; for --follow-up.")
    ] = 0.02,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N]",
            help="Number of voxels along each axis; 170 of 1.5 mm for heads and 128 of 1 mm for cubes when left out.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of the random numbers; the same seed gives the same bytes.")
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of pairs to make at once; the number of cores when left out."),
    ] = None,
) -> None:
    """Make pairs of images with a known transform.

    Each pair is a folder with fixed.nii.gz, moving.nii.gz, truth.tfm (fixed to moving, LPS mm) and label maps if there
    are any. The two images differ in noise, bias field and texture. PAIRS.csv in DIR lists the pairs. A run that was
    stopped continues when the command is repeated.
    """
    from stnreg.core.threads import default_threads
    from stnreg.reports import streams
    from stnreg.simulation.build import build_recipe
    from stnreg.simulation.dataset import simulate as make

    counts = _counts(split)
    recipe = build_recipe(
        kind,
        counts,
        images=image,
        labels=labels,
        ranges={"rotation_deg": rotation, "translation_mm": translation, "scale": scale, "shear": shear},
        sizes=_numbers(size, "--size") if size else (),
        contrasts=contrast.split(",") if contrast else (),
        follow_up=follow_up,
        loss=atrophy,
    )
    with streams.progress("pairs") as show:
        table = make(recipe, output, counts, seed=seed, jobs=jobs or default_threads(), progress=show)
    streams.note(f"{sum(counts)} pairs are in {output}, listed in {table}")


def _counts(text: str) -> tuple[int, int, int]:
    counts = _numbers(text, "--split")
    if len(counts) != 3 or sum(counts) == 0 or min(counts) < 0:
        raise UsageProblem(f"--split {text}: expected three counts with commas between, such as 1000,500,1000")
    return counts[0], counts[1], counts[2]


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageProblem(f"{option} {text}: expected whole numbers with commas between") from None
