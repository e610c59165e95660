"""`stnreg simulate`: pairs of images whose true transform is known."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stnreg.errors import UsageProblem


def simulate(
    kind: Annotated[
        Literal["affine", "rotated", "translated", "rototranslated", "heads", "cubes"],
        typer.Argument(
            help="Known moves of a scan (the first four), heads painted from label maps, or cubes with cracks and "
            "holes.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where the pairs and PAIRS.csv go; whole pairs in it are kept."
        ),
    ],
    split: Annotated[
        str, typer.Option(metavar="TRAIN,VALIDATION,TEST", help="How many pairs of each.")
    ] = "1000,500,1000",
    image: Annotated[
        list[Path], typer.Option(metavar="IMG", help="The scan to move; repeatable, pairs take them in turn.")
    ] = [],  # noqa: B006 (Typer reads it, nobody writes it)
    labels: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR|FILE",
            help="heads: label maps with FreeSurfer codes, those from 500 on outside the brain; each split gets its "
            "own where there are enough. Of a scan: its label map. Repeatable.",
        ),
    ] = [],  # noqa: B006
    rotation: Annotated[
        float | None, typer.Option(metavar="DEG", help="Turn by up to this about each axis; 30 when left out.")
    ] = None,
    translation: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Shift by up to this along each axis; 30 when left out (cubes: 15)."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Scale each axis by up to this; 0.15 when left out.")
    ] = None,
    shear: Annotated[
        float | None, typer.Option(metavar="X", help="Shear by up to this; 0.1 when left out (cubes: none).")
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(
            metavar="C[,C]",
            help="heads: t1, t2, flair or pd, for both images or FIXED,MOVING. Left out: 70 % of pairs are T1, the "
            "others any two.",
        ),
    ] = None,
    follow_up: Annotated[
        bool,
        typer.Option(
            "--follow-up",
            help="heads: one person, later and rigidly moved: on another scanner and grid (256 against 170 voxels, in "
            "any order), with 1.5 mm of smooth change, and some brain lost in every other pair.",
        ),
    ] = False,
    atrophy: Annotated[
        float, typer.Option(metavar="SHARE", help="With --follow-up, the share of the brain's volume that is lost.")
    ] = 0.02,
    size: Annotated[
        str | None,
        typer.Option(metavar="N[,N]", help="heads, cubes: voxels a side; 170 of 1.5 mm and 128 of 1 mm when left out."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes, whatever --jobs.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Pairs made at a time; as many as there are cores when left out.")
    ] = None,
) -> None:
    """Make pairs of images whose true transform is known.

    Each pair is a folder with fixed.nii.gz, moving.nii.gz, truth.tfm (fixed to moving, LPS mm) and labels where they
    exist; both images have their own noise, bias field and texture. PAIRS.csv in DIR lists them. Stopped, it
    continues when it is run again.
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
