"""Displacement fields in image files: ITK's and ANTs', FSL's, and those in RAS mm; detected by content.

=====  ===================  ======================  ===============================================================
form   axes                 intent                  numbers
=====  ===================  ======================  ===============================================================
itk    5-D (x, y, z, 1, 3)  1007, vector            displacement, LPS mm, fixed to moving
ras    5-D (x, y, z, 1, 3)  1006, displacement      displacement, RAS mm, fixed to moving
ras    4-D (x, y, z, 3)     any: named as ras:FILE  the same, as `mri_warp_convert --inras` and SynthMorph have it
fsl    4-D (x, y, z, 3)     2006, FNIRT's           displacement in FSL's coordinates of two images: see `fsl_warp`
=====  ===================  ======================  ===============================================================

All are on the fixed image's grid. ITK reads 5-D files by the same two intents.
"""

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.errors import TransformError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import FLIP
from stnreg.images.gzip_streams import deflate
from stnreg.images.headers import HeaderSource
from stnreg.images.readers import read_image
from stnreg.images.suffixes import NIFTI
from stnreg.images.volume import Reference, Volume, check_image_output, nifti_header
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.fsl_warp import from_fsl_warp, to_fsl_warp
from stnreg.transforms.sampling import turned

Form = Literal["itk", "ras", "fsl"]
Space = Literal["", "ras", "fsl"]
DISPLACEMENT, VECTOR, FSL_FIELD = 1006, 1007, 2006
FSL_COEFFICIENTS = (2007, 2008, 2009, 2016)
OURS = b"stnreg warp"
"""What the field `descrip` of our files says."""
NIFTYREG = b"NREG_TRANS"
NIFTYREG_DISPLACEMENT = 1.0


def load_warp(
    path: str | os.PathLike[str],
    space: Space = "",
    *,
    moving: Reference | Volume | None = None,
    header_source: HeaderSource = "auto",
) -> Chain:
    """Read a displacement field from an image file.

    Parameters
    ----------
    path : path
        .nii, .nii.gz, or another image with three values per voxel.
    space : {"", "ras", "fsl"}
        The prefix of the file's name, as in `ras:FILE`. Empty: by the intent of the file.
    moving : Reference or Volume, optional
        The moving image. Required for FSL's fields.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use if the two differ.

    Returns
    -------
    chain : Chain
        One `DisplacementField`, LPS mm, fixed to moving, on the file's grid, with warnings about the file.

    Raises
    ------
    TransformError
        If the file is not a displacement field, or its kind is unknown.
    UsageProblem
        If it is FSL's, and the moving image is missing.
    DataError
        If it cannot be read.
    """
    image = read_image(path, header_source)
    form = _form(image.header, space, image.path)
    vectors = _three_components(image.read(), image.path)
    if form == "fsl":
        if moving is None:
            raise UsageProblem(
                f"{path}: a field of FSL is valid only with its moving image, which is not known here. "
                "Name it after a comma: fsl:FILE,MOVING"
            )
        fixed = Reference(image.grid, image.header, image.differs, image.path)
        field = from_fsl_warp(vectors, fixed, moving)
    else:
        try:
            field = DisplacementField(turned(_to_lps(form), vectors), image.grid)
        except TransformError as error:
            raise TransformError(f"{path}: {error}") from error
    return Chain((field,), image.warnings)


def save_warp(
    path: str | os.PathLike[str],
    fixed_to_moving: Transform,
    fixed: Reference | Volume | Grid,
    *,
    form: Form = "itk",
    moving: Reference | Volume | None = None,
    threads: int = 1,
) -> None:
    """Write a transform as a displacement field on the fixed image's grid, float32.

    Written atomically; the same transform gives the same bytes. A chain becomes one field, its affine
    members included.

    Parameters
    ----------
    path : path
        Ends in .nii or .nii.gz.
    fixed_to_moving : Transform
        Maps fixed points to moving points, LPS mm.
    fixed : Reference, Volume or Grid
        Its grid. An image's forms, codes and units are kept. ITK does not support sheared grids.
    form : {"itk", "ras", "fsl"}
        5-D vectors in LPS mm, which ITK, ANTs, Greedy, Slicer and nitransforms read; 4-D in RAS mm, for FreeSurfer and
        SynthMorph, to be read here as `ras:FILE`; FSL's, for `applywarp` without --premat.
    moving : Reference or Volume, optional
        The moving image, for FSL.
    threads : int
        For compression; the bytes do not depend on it.

    Raises
    ------
    UsageProblem
        If the suffix is another, or FSL's form is requested without the moving image.
    DataError
        If the file cannot be written.
    """
    check_image_output(path, NIFTI, "a displacement field")
    like = Reference(fixed, None, True, "") if isinstance(fixed, Grid) else fixed
    if form == "fsl":
        if moving is None:
            raise UsageProblem(f"{path}: a field of FSL needs the moving image, which is not known here.")
        stored = to_fsl_warp(fixed_to_moving, like, moving)
    else:
        stored = fixed_to_moving.to_displacement(like.grid).vectors
        if form == "ras":
            stored = turned(_to_lps(form), stored)
    if form == "itk":
        stored = stored[:, None]
    stored = np.ascontiguousarray(stored, "<f4")
    header = nifti_header(like, stored)
    header["descrip"] = OURS
    header["intent_code"] = {"itk": VECTOR, "ras": DISPLACEMENT, "fsl": FSL_FIELD}[form]
    parts = (header.binaryblock, b"\0\0\0\0", stored.reshape(-1).view(np.uint8).data)
    write_atomic(path, *(deflate(*parts, threads=threads) if str(path).lower().endswith(".gz") else parts))


def is_fsl_warp(path: str | os.PathLike[str]) -> bool:
    """Return whether the header of an image file says that it is a displacement field of FSL."""
    header = read_image(path).header
    return header is not None and int(header["dim"][0]) == 4 and int(header["intent_code"]) == FSL_FIELD


def is_stnreg_warp(path: str | os.PathLike[str]) -> bool:
    """Return whether an image file is what `save_warp` writes, so that it may be overwritten."""
    header = read_image(path).header
    return (
        header is not None
        and int(header["intent_code"]) in (DISPLACEMENT, VECTOR, FSL_FIELD)
        and bytes(header["descrip"].item()).rstrip(b"\0") == OURS
    )


def _to_lps(form: Form) -> Matrix:
    """Return the (3, 3) matrix from the axes of a form to LPS, or back."""
    return FLIP[:3, :3] if form == "ras" else np.eye(3)


def _form(header: Any, space: Space, path: str) -> Form:
    """Return the form of a file, by its header and the prefix."""
    intent = 0 if header is None else int(header["intent_code"])
    axes = 0 if header is None else int(header["dim"][0])
    name = b"" if header is None else bytes(header["intent_name"].item())
    if intent in FSL_COEFFICIENTS:
        raise TransformError(
            f"{path}: holds FNIRT's spline coefficients, not displacements. Convert it: "
            "fnirtfileutils --in=FILE --ref=REF --out=FIELD --withaff"
        )
    if name.startswith(NIFTYREG):
        if float(header["intent_p1"]) != NIFTYREG_DISPLACEMENT:
            raise TransformError(
                f"{path}: is NiftyReg's, and holds positions, velocities or a spline. Convert it: "
                "reg_transform -disp FILE OUT, and name that ras:OUT"
            )
        if not space:
            raise TransformError(f"{path}: is NiftyReg's displacement, in RAS mm; name it ras:FILE")
    if space:
        return space
    if axes == 5 and intent == VECTOR:
        return "itk"
    if axes == 5 and intent == DISPLACEMENT:
        return "ras"
    if axes == 4 and intent == FSL_FIELD:
        return "fsl"
    raise TransformError(
        f"{path}: is an image. Expected a displacement field whose header says what it is (5-D with intent 1007, as "
        "ITK and ANTs write, or 4-D with intent 2006, as FSL does), got "
        f"{axes or 'an unknown number of'} axes and intent {intent}. "
        "Name it ras:FILE if it holds displacements in RAS mm (FreeSurfer, SynthMorph), fsl:FILE if FSL made it."
    )


def _three_components(array: NDArray[Any], path: str) -> NDArray[Any]:
    """Return (3, z, y, x) of what was read, ([1,] 3 ... reversed axes)."""
    if array.ndim == 5 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 4 or array.shape[0] != 3 or array.dtype.kind not in "fiu":
        shape = " x ".join(str(count) for count in array.shape[::-1])
        raise TransformError(f"{path}: expected three numbers a voxel, x y z 1 3 or x y z 3, got {shape}.")
    return array
