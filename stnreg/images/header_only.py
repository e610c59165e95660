"""Apply a rigid transform by the header alone: the stored voxels are copied, nothing is resampled."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stnreg.core.files import write_atomic
from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import check_affine
from stnreg.images.gzip_streams import deflate
from stnreg.images.headers import HeaderSource, write_world
from stnreg.images.readers import damage, read_image
from stnreg.images.suffixes import NIFTI
from stnreg.images.volume import Volume, check_image_output, nifti_header

ALIGNED = 2
"""NIFTI_XFORM_ALIGNED_ANAT: coordinates aligned to another image's."""
RIGID_TOLERANCE = 1e-6


def save_in_place(
    path: str | os.PathLike[str],
    moving: str | os.PathLike[str],
    fixed_to_moving: ArrayLike,
    header_source: HeaderSource = "auto",
) -> None:
    """Write a moving image with unchanged voxels, and a header that aligns it with the fixed image.

    A NIfTI keeps its type, scaling, byte order and extensions. Both forms are set from the same matrix.

    Parameters
    ----------
    path : path
        Ends in .nii or .nii.gz.
    moving : path
        The image.
    fixed_to_moving : (4, 4) float64
        Rigid; maps fixed LPS points to moving LPS points, mm.
    header_source : {"auto", "sform", "qform"}
        As the image was read.

    Raises
    ------
    UsageProblem
        If the transform is not rigid, or the suffix is not supported.
    DataError
        If the image is sheared, which a qform cannot represent, or a file cannot be read or written.
    """
    check_image_output(path, NIFTI, "an image with another header alone")
    matrix = check_affine(fixed_to_moving)
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() > RIGID_TOLERANCE:
        raise UsageProblem("only a rigid transform goes into a header: it has no room for other scales and shears")
    image = read_image(moving, header_source)
    if not image.grid.is_orthonormal:
        raise DataError(f"{moving}: its voxel axes are not at right angles, which no qform can say. Resample it (-o).")
    grid = Grid(image.grid.size, compose(invert(matrix), image.grid.index_to_lps))
    if image.header is None:
        array = image.read()
        header: Any = nifti_header(Volume(array, grid), array)
        voxels = array.astype(header.get_data_dtype(), copy=False).tobytes()
    else:
        header = _single_file(image.header)
        voxels, slope, intercept = _stored_voxels(Path(image.path))
        header.set_slope_inter(slope, intercept)  # nibabel removes them from a header when it reads
    header["qform_code"] = header["sform_code"] = ALIGNED
    write_world(header, grid, both=True)
    head = BytesIO()
    header.write_to(head)
    head.write(bytes(int(header["vox_offset"]) - head.tell()))
    parts = [head.getvalue(), voxels]
    write_atomic(path, *(deflate(*parts) if str(path).lower().endswith(".gz") else parts))


def _stored_voxels(path: Path) -> tuple[bytes, float, float]:
    """Return the stored voxels, and their slope and intercept."""
    import nibabel

    with damage(path):
        image: Any = nibabel.load(path)
        voxels = np.asarray(image.dataobj.get_unscaled())
    return voxels.tobytes(order="F"), image.dataobj.slope, image.dataobj.inter


def _single_file(header: Any) -> Any:
    """Copy a NIfTI header for a single file, .nii."""
    import nibabel

    kind = nibabel.Nifti2Header if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Header
    copy = kind(header.binaryblock, header.endianness, check=False, extensions=header.extensions)
    copy["magic"] = kind.single_magic
    copy["vox_offset"] = copy.single_vox_offset + copy.extensions.get_sizeondisk()
    return copy
