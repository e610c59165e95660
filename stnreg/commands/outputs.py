"""What the verbs that align share: where their outputs go, and what is refused before any work is done."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from stnreg.commands._options import InterpolationName
from stnreg.errors import UsageProblem
from stnreg.images.suffixes import NIFTI, WRITTEN, stem

if TYPE_CHECKING:
    from stnreg.images.volume import Volume
    from stnreg.registration.result import RegistrationResult

HeaderSource = Literal["auto", "sform", "qform"]


@dataclass(frozen=True)
class Also:
    """One more image that goes through the same transform: from where, to where, and how it is interpolated."""

    image: Path
    output: Path
    interp: InterpolationName


def parse_also(text: str, interp: InterpolationName) -> Also:
    """Take `IN=OUT[:INTERP]` apart.

    Parameters
    ----------
    text : str
        Names may hold `=` and `:`: IN is the shortest part before a `=` that is a file.
    interp : str
        For an image that names none.

    Raises
    ------
    UsageProblem
        If there is no `=`, or OUT is no image's name.
    """
    places = [place for place, letter in enumerate(text) if letter == "="]
    if not places:
        raise UsageProblem(f"--also {text}: expected IN=OUT[:INTERP]")
    split = next((place for place in places if Path(text[:place]).is_file()), places[0])
    output, _, last = text[split + 1 :].rpartition(":")
    if last in get_args(InterpolationName) and output:
        interp = cast(InterpolationName, last)
    else:
        output = text[split + 1 :]
    if output.lower().rpartition(":")[0].endswith(WRITTEN):
        raise UsageProblem(f"--also {text}: expected one of {', '.join(get_args(InterpolationName))}, got {last!r}")
    return Also(Path(text[:split]), Path(output), interp)


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Take `MM` or `X,Y,Z` apart.

    Raises
    ------
    UsageProblem
        If it is not one or three numbers from 0.05 to 50.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(0.05 <= number <= 50 for number in numbers):
        raise UsageProblem(f"--spacing {text}: expected one or three voxel sizes in mm, such as 1 or 0.8,0.8,1.2")
    x, y, z = numbers * 3 if len(numbers) == 1 else numbers
    return x, y, z


def transform_outputs(output: Path | None, transforms: Sequence[str]) -> list[Path]:
    """Return where transforms go: as asked, else OUT's stem with `.tfm`."""
    if transforms or output is None:
        return [Path(t) for t in transforms]
    return [output.with_name(f"{stem(output)}.tfm")]


def check_outputs(
    output: Path | None,
    transforms: Sequence[Path],
    json: str | None,
    inputs: Sequence[Path],
    *,
    qc: Path | None = None,
    others: Sequence[Path] = (),
    only_nifti: Sequence[Path] = (),
) -> None:
    """Refuse what could not be written, or would cost a file, before any work is done.

    Parameters
    ----------
    output, others : Path
        Images to write.
    only_nifti : sequence of Path
        Those of them that hold what only a NIfTI can.
    transforms, json, qc
        The other files to write.
    inputs : sequence of Path
        What is read, and so must be there and must not be written.

    Raises
    ------
    UsageProblem
        If nothing is asked for, an output is an input too, is named twice or has a suffix that is not written, or
        `-t` names a transform that stnreg did not write.
    DataError
        If an input is missing, or a place cannot be written to.
    """
    from stnreg.core.files import check_input, check_output
    from stnreg.images.volume import check_image_output
    from stnreg.transforms.io.files import check_transform_output
    from stnreg.transforms.io.h5 import check_h5

    if output is None and not transforms and json is None and not others:
        raise UsageProblem("nothing to write: give at least one of -o OUT.nii.gz, -t OUT.tfm, --json FILE")
    for path in inputs:
        check_input(path, folder=True)
    images = [*others, *([output] if output is not None else [])]
    for path in images:
        check_output(path, inputs)
        check_image_output(path)
    for path in only_nifti:
        check_image_output(path, NIFTI, "this output")
    for path in transforms:
        check_output(path, inputs)
        try:
            check_transform_output(path)
            if path.suffix.lower() == ".h5":
                check_h5(f"{path}: a transform in HDF5")
        except UsageProblem as error:
            hint = " -t names an output; for an initial transform, did you mean --init?" if path.is_file() else ""
            raise UsageProblem(f"{error}{hint}") from error
    if qc is not None:
        check_output(qc, inputs)
        if qc.suffix.lower() not in (".png", ".svg", ".html"):
            raise UsageProblem(f"{qc}: a picture is written as .png or .svg, a page to scroll through as .html")
    document = [Path(json)] if json is not None and json != "-" else []
    for path in document:
        check_output(path, inputs)
    written = [path.resolve() for path in (*images, *transforms, *([qc] if qc else []), *document)]
    for path in written:
        if written.count(path) > 1 and path != Path(os.devnull):
            raise UsageProblem(f"{path}: is named as an output twice. Give each output a name of its own.")


def start_files(init: str) -> list[Path]:
    """Return the files that `--init` names, if it names any."""
    from stnreg.transforms.io.links import parse_link

    return [] if init in ("auto", "header", "geometry", "moments") else parse_link(init).paths


def warp_beside(output: Path) -> Path:
    """Return where the warp of a moved image goes when nobody says: OUT's stem with `_warp.nii.gz`."""
    return output.with_name(f"{stem(output)}_warp.nii.gz")


def holds_warp(path: Path) -> bool:
    """Tell by the name whether a transform file holds a deformation: a composite, or a displacement field."""
    return path.name.lower().endswith((".h5", ".nii", ".nii.gz"))


def as_written(result: "RegistrationResult", transforms: Sequence[Path], warp: Path | None) -> "RegistrationResult":
    """Return a registration with its transform as it stands in the files that were written from it.

    FLIRT and LTA hold the inverse, and inverting twice costs the last digit; a warp is held in single precision on the
    fixed grid. Images and JSON follow the files, so that `apply-transform` makes the same bytes of them.
    """
    from stnreg.transforms.io.links import load_chain

    matrix, field = result.fixed_to_moving, None
    linear = [path for path in transforms if not holds_warp(path)]
    if linear:
        link = f"fsl:{linear[0]}" if linear[0].suffix.lower() == ".fslmat" else linear[0]
        written = load_chain([link], result.fixed, result.moving).matrix
        matrix = matrix if written is None else written
    if result.deformation is not None and (warp is not None or len(linear) < len(transforms)):
        field = result.warp
    return result.as_written(matrix, field) if field is not None or result.deformation is None else result


def draw_qc(path: Path, result: "RegistrationResult") -> None:
    """Draw a registration for people, as a picture or a page: the suffix says which."""
    from stnreg.reports.description import summary
    from stnreg.reports.outlines import outlines_of

    if path.suffix.lower() == ".html":
        from stnreg.reports.page import write_qc_html as write
    elif path.suffix.lower() == ".svg":
        from stnreg.reports.flicker import write_qc_svg as write
    else:
        from stnreg.reports.figure import write_qc_png as write
    warp = result.warp if result.deformation is not None else None
    more: dict[str, Any] = {"warp": warp, "outlines": outlines_of(result)}
    write(path, result.fixed, result.moving, result.transform, summary(result), **more)


def warn_of_blurring(image: "Volume", interp: str, how: str = "--interp label") -> None:
    """Say that an image looks like a label map that is about to be blurred, and which option keeps its labels."""
    from stnreg.images.label_maps import blurred
    from stnreg.reports.streams import note

    for warning in blurred(image, interp):
        note(f"warning: {warning} Use {how}.")


def carry_along(one: Also, result: "RegistrationResult", header_source: HeaderSource, **sampling: Any) -> None:
    """Bring one more image through the transform of a registration, exactly as `apply-transform` does."""
    from stnreg.images.volume import load_volume
    from stnreg.preprocessing.masks import place_notes
    from stnreg.reports.streams import note
    from stnreg.resampling.apply import save_moved

    image = load_volume(one.image, header_source, series=True, constant=True)
    for warning in (*image.warnings, *place_notes(image.grid, result.moving, str(one.image))):
        note(f"warning: {warning}")
    warn_of_blurring(image, one.interp, f"--also {one.image}={one.output}:label")
    save_moved(
        one.output,
        image,
        result.fixed,
        result.transform,
        interp=one.interp,
        threads=result.threads,
        **sampling,
    )


def print_summary(result: "RegistrationResult", files: Sequence[Path], seconds: float) -> None:
    """Print the assessment, the time and the files written on standard error, if that is a terminal."""
    from stnreg.reports.streams import note

    if not sys.stderr.isatty():
        return
    verdict = result.verdict
    state = {True: "accepted", False: "rejected", None: "not assessed"}[verdict.passed]
    score = "" if verdict.score is None else f", score {verdict.score:.2f}"
    wrote = f"; wrote {', '.join(map(str, files))}" if files else ""
    note(f"{state}{score}, {seconds:.1f} s{wrote}")


def command_line() -> str:
    """Return the command as it was typed, quoted for a shell."""
    return shlex.join(["stnreg", *sys.argv[1:]])
