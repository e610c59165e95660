"""What the verbs that align share: where their outputs go, and what is refused before any work is done."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from stnreg.errors import UsageProblem


def transform_outputs(output: Path | None, transforms: Sequence[str]) -> list[Path]:
    """Return where transforms go: as asked, else OUT's stem with `.tfm`."""
    if transforms or output is None:
        return [Path(t) for t in transforms]
    name = output.name.removesuffix(".gz").removesuffix(".nii")
    return [output.with_name(f"{name}.tfm")]


def check_outputs(
    output: Path | None,
    transforms: Sequence[Path],
    json: str | None,
    inputs: Sequence[Path],
    *,
    qc: Path | None = None,
) -> None:
    """Refuse what could not be written, or would cost a file, before any work is done.

    Raises
    ------
    UsageProblem
        If nothing is asked for, an output is an input too or has a suffix that is not written, or `-t` names a
        transform that stnreg did not write.
    DataError
        If an input is missing, or a place cannot be written to.
    """
    from stnreg.io.files import check_input, check_output
    from stnreg.io.transform import check_transform_output
    from stnreg.io.volume import check_image_output

    if output is None and not transforms and json is None:
        raise UsageProblem("nothing to write: give at least one of -o OUT.nii.gz, -t OUT.tfm, --json FILE")
    for path in inputs:
        check_input(path)
    if output is not None:
        check_output(output, inputs)
        check_image_output(output)
    for path in transforms:
        check_output(path, inputs)
        check_transform_output(path)
    if qc is not None:
        check_output(qc, inputs)
        if qc.suffix.lower() != ".png":
            raise UsageProblem(f"{qc}: a picture is written as .png")
    if json not in (None, "-"):
        check_output(Path(str(json)), inputs)


def command_line() -> str:
    """Return the command as it was typed, quoted for a shell."""
    return shlex.join(["stnreg", *sys.argv[1:]])
