"""Transform files: the format is detected by content when read, by suffix when written.

See `itk`, `lta` and `fsl` for the formats of linear ones, `warp` and `h5` for those of others, and `links` for reading
any of them, several one after the other too.
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
from stnreg.images.readers import is_image_name
from stnreg.images.volume import Reference, Volume
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.fsl import to_fsl
from stnreg.transforms.io.h5 import is_our_h5, save_h5
from stnreg.transforms.io.itk import HDF5_HEAD, is_itk, matlab_bytes, read_itk, text_bytes
from stnreg.transforms.io.lta import OURS, Geometry, is_lta, lta_bytes, read_lta
from stnreg.transforms.io.text_matrix import read_text_matrix, text_matrix_bytes
from stnreg.transforms.io.warp import is_stnreg_warp, save_warp

ITK_SUFFIXES = (".tfm", ".txt", ".mat")
LINEAR_SUFFIXES = (*ITK_SUFFIXES, ".lta", ".fslmat")
FIELD_SUFFIXES = (".nii", ".nii.gz")
SUFFIXES = (*LINEAR_SUFFIXES, ".h5", *FIELD_SUFFIXES)
MAX_BYTES = 2**24
"""Larger files are images or displacement fields, and are not read into memory."""


def load_transform(path: str | os.PathLike[str]) -> Matrix:
    """Read a linear transform: ITK text, .mat or .h5, or FreeSurfer's .lta.

    All linear classes of ITK are supported, alone or in a composite; the centre is folded into the translation. Plain
    4x4 matrices do not name their space: see `links.load_chain`, which also reads displacement fields.

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
    fixed_to_moving: ArrayLike | Transform,
    *,
    fixed: Reference | Volume | None = None,
    moving: Reference | Volume | None = None,
    threads: int = 1,
) -> None:
    """Write a transform, atomically; the same transform gives the same bytes.

    Parameters
    ----------
    path : path
        An affine, with all its digits, ends in .tfm or .txt (ITK text, which ITK, ANTs, Slicer, Greedy, FreeSurfer and
        nitransforms read alike), .mat (ITK's MATLAB 4, which ANTs wants for `-t [file,1]` in Python), .lta
        (FreeSurfer) or .fslmat (FLIRT). Any transform ends in .nii or .nii.gz (a displacement field in ITK's form, on
        the grid of `fixed`) or .h5 (ITK's composite: affine members and displacement fields as they are).
    fixed_to_moving : (4, 4) float64, or Transform
        Maps fixed points to moving points, LPS mm.
    fixed, moving : Reference or Volume, optional
        The images: both are required for .lta and .fslmat, the fixed one for a field.
    threads : int
        To compress a field with; the bytes do not depend on it.

    Raises
    ------
    UsageProblem
        If the suffix is not one of these, images that it needs are missing, or it cannot hold this transform.
    DataError
        If the file cannot be written.
    """
    suffix = _suffix(path)
    if suffix not in LINEAR_SUFFIXES:
        given = fixed_to_moving
        _save_field(path, suffix, given if isinstance(given, Transform) else Affine(given), fixed, threads)
        return
    matrix = fixed_to_moving.matrix if isinstance(fixed_to_moving, Transform) else check_affine(fixed_to_moving)
    if matrix is None:
        raise UsageProblem(
            f"{path}: the transform is non-linear, and {suffix} holds only linear ones. Write it as .nii.gz (one "
            "displacement field) or .h5 (ITK's composite)."
        )
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
        raise UsageProblem(f"{path}: exists already, and stnreg did not write it. Choose another name for the output.")


def written_by_stnreg(path: str | os.PathLike[str]) -> bool:
    """Return whether `save_transform` wrote a file, so that it may be overwritten.

    For ITK and FLIRT files: whether writing the transform again gives the same bytes. An .lta has it in its first line,
    an .h5 in its last, and a displacement field in its header.
    """
    found = Path(path)
    try:
        if is_image_name(found):
            return is_stnreg_warp(found)
        content = read_content(found)
        if is_lta(content):
            return content.startswith(OURS)
        if content.startswith(HDF5_HEAD):
            return is_our_h5(found)
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
    name = Path(path).name.lower()
    suffix = next((known for known in SUFFIXES if name.endswith(known) and name != known), None)
    if suffix is None:
        example = "" if Path(path).suffix else f" Say which, such as {path}.tfm"
        raise UsageProblem(
            f"{path}: a transform is written as {', '.join(ITK_SUFFIXES)} (ITK), .lta (FreeSurfer), .fslmat (FLIRT), "
            f".nii, .nii.gz (displacement field) or .h5 (ITK's composite).{example}"
        )
    return suffix


def _save_field(
    path: str | os.PathLike[str], suffix: str, transform: Transform, fixed: Reference | Volume | None, threads: int
) -> None:
    """Write a file that holds any transform: .h5, .nii or .nii.gz."""
    members = Chain((transform,)).members
    # What ITK does not know is sampled on the fixed grid, and that is right for what a fixed point meets first.
    is_known = [member.matrix is not None or isinstance(member, DisplacementField) for member in members]
    if fixed is None and (suffix != ".h5" or not all(is_known)):
        raise UsageProblem(
            f"{path}: a displacement field lies on the grid of the fixed image, which is not known here."
        )
    if suffix != ".h5" and fixed is not None:
        save_warp(path, transform, fixed, threads=threads)
    elif all(is_known[1:]) or fixed is None:
        save_h5(path, transform, None if fixed is None else fixed.grid)
    else:
        save_h5(path, transform.to_displacement(fixed.grid))


def _refuse(content: bytes, path: Path) -> NoReturn:
    if is_image_name(path):
        guess = "is an image. A displacement field is non-linear, and a linear transform is expected here."
    elif path.suffix.lower() == ".m3z":
        guess = "is a warp of FreeSurfer's own. Convert it: mri_warp_convert --inm3z FILE --outitk OUT.nii.gz"
    elif path.suffix.lower() == ".1d":
        guess = (
            "is a matrix of AFNI, whose coordinates differ for oblique images. Convert it with nitransforms: python -c "
            "\"import nitransforms.linear as n; n.load('FILE', fmt='afni', reference='FIXED', moving='MOVING')"
            ".to_filename('OUT.tfm', fmt='itk')\""
        )
    elif len(content[:4096].split()) == 16 and re.fullmatch(rb"[\s\d.eE+-]+", content[:4096]):
        guess = (
            "is a bare 4x4 matrix, which does not name its coordinate system. Write "
            "`fsl:FILE` if FLIRT wrote it, or `ras:FILE` if it maps RAS points in mm."
        )
    else:
        guess = "is not a transform that is read here (ITK .tfm .txt .mat .h5, FreeSurfer .lta, fsl:FILE, ras:FILE)."
    raise TransformError(f"{path}: {guess}")
