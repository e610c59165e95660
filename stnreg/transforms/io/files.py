"""Affine transform files: the format is detected by content when read, by suffix when written.

See `itk`, `lta` and `fsl` for the formats, and `chain` for several transforms one after the other.
"""

import os
import re
from pathlib import Path
from typing import NoReturn

from numpy.typing import ArrayLike

from stnreg.core.files import check_input, check_output, write_atomic
from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Matrix, check_affine
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.suffixes import IMAGES
from stnreg.images.volume import Reference, Volume
from stnreg.transforms.io.fsl import to_fsl
from stnreg.transforms.io.itk import HDF5_HEAD, is_itk, matlab_bytes, read_itk, text_bytes
from stnreg.transforms.io.lta import OURS, Geometry, is_lta, lta_bytes, read_lta
from stnreg.transforms.io.text_matrix import read_text_matrix, text_matrix_bytes

ITK_SUFFIXES = (".tfm", ".txt", ".mat")
SUFFIXES = (*ITK_SUFFIXES, ".lta", ".fslmat")
MAX_BYTES = 2**24
"""Larger files are images or displacement fields, and are not read into memory."""


def load_transform(path: str | os.PathLike[str]) -> Matrix:
    """Read a linear transform: ITK text, .mat or .h5, or FreeSurfer's .lta.

    All linear classes of ITK are supported, alone or in a composite; the centre is folded into the translation. Plain
    4x4 matrices do not name their space: see `chain.load_chain`.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        Maps fixed points to moving points, LPS mm.

    Raises
    ------
    TransformError
        If the file is damaged, of another kind, or not linear; the message says what to do.
    DataError
        If there is no such file.
    """
    found = check_input(path)
    content = read_content(found)
    if is_itk(content):
        return read_itk(content, found)
    if is_lta(content):
        return read_lta(content, found).fixed_to_moving
    _refuse(content, found)


def save_transform(
    path: str | os.PathLike[str],
    fixed_to_moving: ArrayLike,
    *,
    fixed: Reference | Volume | None = None,
    moving: Reference | Volume | None = None,
) -> None:
    """Write an affine with all digits, atomically; the same matrix gives the same bytes.

    Parameters
    ----------
    path : path
        Ends in .tfm or .txt (ITK text, which ITK, ANTs, Slicer, Greedy, FreeSurfer and nitransforms read alike), .mat
        (ITK's MATLAB 4, which ANTs wants for `-t [file,1]` in Python), .lta (FreeSurfer) or .fslmat (FLIRT).
    fixed_to_moving : (4, 4) float64
        Maps fixed points to moving points, LPS mm.
    fixed, moving : Reference or Volume, optional
        The images. Required for .lta and .fslmat.

    Raises
    ------
    UsageProblem
        If the suffix is not one of these, or images that it needs are missing.
    DataError
        If the file cannot be written.
    """
    suffix = _suffix(path)
    matrix = check_affine(fixed_to_moving)
    if suffix == ".mat":
        content = matlab_bytes(matrix)
    elif suffix in ITK_SUFFIXES:
        content = text_bytes(matrix)
    elif fixed is None or moving is None:
        raise UsageProblem(f"{path}: {suffix} holds or needs both images, which are not known here; write .tfm")
    elif suffix == ".lta":
        ends = (Geometry(image.grid, image.path) for image in (moving, fixed))
        content = lta_bytes(swap_lps_ras(invert(matrix)), *ends)
    else:
        content = text_matrix_bytes(to_fsl(matrix, fixed, moving))
    write_atomic(path, content)


def check_transform_output(path: str | os.PathLike[str]) -> None:
    """Check that a transform may be written to a path, before any work is done.

    Raises
    ------
    UsageProblem
        If the suffix is not supported, or the file exists and was not written by stnreg: in ANTs `-t` names an input,
        which must not be overwritten.
    DataError
        If the file cannot be written.
    """
    _suffix(path)
    check_output(path)
    if Path(path).is_file() and not written_by_stnreg(path):
        raise UsageProblem(
            f"{path}: is there already, and stnreg did not write it. Choose another name for the output. "
            "To start from that transform, did you mean --init?"
        )


def written_by_stnreg(path: str | os.PathLike[str]) -> bool:
    """Return whether `save_transform` wrote a file, so that it may be overwritten.

    For ITK and FLIRT files: whether writing the transform again gives the same bytes. An .lta has it in its first line.
    """
    found = Path(path)
    try:
        content = read_content(found)
        if is_lta(content):
            return content.startswith(OURS)
        if is_itk(content):
            matrix = read_itk(content, found)
            return content in (text_bytes(matrix), matlab_bytes(matrix))
        return content == text_matrix_bytes(read_text_matrix(content, found))
    except DataError:
        return False


def read_content(path: Path) -> bytes:
    """Read a transform file, unless it is larger than any linear transform (HDF5 files are left to ITK).

    Raises
    ------
    DataError
        If it is missing, or cannot be read.
    TransformError
        If it is too large.
    """
    check_input(path)
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if len(content) > MAX_BYTES and not content.startswith(HDF5_HEAD):
        _refuse(content, path)
    return content


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        example = "" if suffix else f" Say which, such as {path}.tfm"
        raise UsageProblem(
            f"{path}: a transform is written as {', '.join(ITK_SUFFIXES)} (ITK), .lta (FreeSurfer) or .fslmat (FLIRT)."
            f"{example}"
        )
    return suffix


def _refuse(content: bytes, path: Path) -> NoReturn:
    if path.name.lower().endswith(IMAGES):
        guess = "is an image. A displacement field bends space and is not taken here; apply it with ANTs."
    elif len(content[:4096].split()) == 16 and re.fullmatch(rb"[\s\d.eE+-]+", content[:4096]):
        guess = (
            "is a bare 4x4 matrix, whose space is written nowhere. Say `fsl:FILE` if FLIRT wrote it, or `ras:FILE` if "
            "it maps RAS mm points."
        )
    else:
        guess = "is not a transform that is read here (ITK .tfm .txt .mat .h5, FreeSurfer .lta, fsl:FILE, ras:FILE)."
    raise TransformError(f"{path}: {guess}")
