"""FSL's FLIRT matrices: from moving to fixed, in scaled voxel coordinates of the two images."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stnreg.geometry.affine import compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Reference, Volume

Located = Grid | Reference | Volume


def lps_to_fsl(image: Located) -> Matrix:
    """Return the (4, 4) from LPS points, mm, to FLIRT's coordinates in an image.

    FLIRT counts millimetres from the first voxel, along the voxel axes; x runs backwards where the voxel axes
    are right-handed in RAS, so that its space is always left-handed ("radiological"). Which they are is what FSL reads:
    the sform says it if it has a code, whichever form is in use here. Its voxel size is the header's pixdim, even where
    the sform has another.
    """
    grid = image if isinstance(image, Grid) else image.grid
    spacing = grid.spacing
    header = None if isinstance(image, Grid) else image.header
    if header is not None:
        pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
        spacing = np.where(np.isfinite(pixdim) & (pixdim > 0), pixdim, spacing)
        # pixdim is single precision: if it equals the spacing of the form to rounding, the latter is used.
        spacing = np.where(np.isclose(spacing, grid.spacing, rtol=1e-6), grid.spacing, spacing)
    index_to_fsl = np.diag([*spacing, 1.0])
    if _handedness(grid, header) > 0:
        index_to_fsl[0, 0] *= -1
        index_to_fsl[0, 3] = (grid.size[0] - 1) * spacing[0]
    return compose(index_to_fsl, grid.lps_to_index)


def _handedness(grid: Grid, header: Any) -> float:
    """Return the determinant of the form that FSL takes left and right from; the sign is the same in LPS and RAS."""
    if header is not None and int(header["sform_code"]) > 0:
        return float(np.linalg.det(header.get_sform()[:3, :3]))
    return float(np.linalg.det(grid.index_to_lps[:3, :3]))


def from_fsl(moving_to_fixed: ArrayLike, fixed: Located, moving: Located) -> Matrix:
    """Return `fixed_to_moving`, LPS mm, of FLIRT's matrix between two images."""
    return compose(invert(lps_to_fsl(moving)), invert(moving_to_fixed), lps_to_fsl(fixed))


def to_fsl(fixed_to_moving: ArrayLike, fixed: Located, moving: Located) -> Matrix:
    """Return FLIRT's matrix, moving to fixed, of a `fixed_to_moving` in LPS mm; the inverse of `from_fsl`."""
    return compose(lps_to_fsl(fixed), invert(fixed_to_moving), invert(lps_to_fsl(moving)))
