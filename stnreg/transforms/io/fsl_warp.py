"""FSL's displacement fields, as FNIRT and `convertwarp --relout` write them.

FSL counts millimetres from an image's first voxel along its voxel axes, x backwards where the voxel axes are
right-handed: see `fsl.lps_to_fsl`. A relative field d, on the fixed image's grid, maps a point f of the fixed image in
these coordinates to f + d(f) in those of the moving image. So a field of zeros is not the identity if the images have
different origins, and the field can include the affine between them.
"""

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import TransformError
from stnreg.geometry.affine import invert
from stnreg.geometry.matrix import Points
from stnreg.images.volume import Reference, Volume
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.fsl import lps_to_fsl
from stnreg.transforms.sampling import Vectors, moved, slabs, voxel_points


def from_fsl_warp(
    vectors: NDArray[np.floating], fixed: Reference | Volume, moving: Reference | Volume
) -> DisplacementField:
    """Convert a relative field of FSL to displacements in LPS mm.

    Parameters
    ----------
    vectors : (3, z, y, x) float
        d, mm, from FSL's coordinates in the fixed image to those in the moving image; x, y, z first.
    fixed : Reference or Volume
        The image whose grid `vectors` are on: the field's own file.
    moving : Reference or Volume
        The image that the field warps.

    Returns
    -------
    field : DisplacementField
        Fixed to moving, LPS mm, on the grid of `fixed`.

    Raises
    ------
    TransformError
        If the field is absolute: positions instead of displacements.
    """
    _refuse_absolute(vectors, fixed)
    to_fsl, from_fsl = lps_to_fsl(fixed), invert(lps_to_fsl(moving))
    displacements = np.empty(vectors.shape, np.float32)
    for slab in slabs(fixed.grid):
        points = voxel_points(fixed.grid, slab)
        there = _mapped(to_fsl, points) + vectors[:, slab]
        displacements[:, slab] = _mapped(from_fsl, there) - points
    try:
        return DisplacementField(displacements, fixed.grid)
    except TransformError as error:
        raise TransformError(f"{fixed.path}: {error}") from error


def to_fsl_warp(fixed_to_moving: Transform, fixed: Reference | Volume, moving: Reference | Volume) -> Vectors:
    """Sample a transform as a relative field of FSL on the fixed image's grid: (3, z, y, x) float32, mm."""
    to_fsl, moving_to_fsl = lps_to_fsl(fixed), lps_to_fsl(moving)
    vectors = np.empty((3, *fixed.grid.shape), np.float32)
    for slab in slabs(fixed.grid):
        there = _mapped(moving_to_fsl, fixed_to_moving.map_voxels(fixed.grid, slab))
        vectors[:, slab] = there - _mapped(to_fsl, voxel_points(fixed.grid, slab))
    return vectors


def _refuse_absolute(vectors: NDArray[np.floating], fixed: Reference | Volume) -> None:
    """Raise TransformError on an absolute field, detected as in FSL: displacements vary less than positions."""
    to_fsl, absolute, relative = lps_to_fsl(fixed), 0.0, 0.0
    for slab in slabs(fixed.grid):
        part = vectors[:, slab]
        absolute += float(np.var(part - _mapped(to_fsl, voxel_points(fixed.grid, slab)), axis=(1, 2, 3)).sum())
        relative += float(np.var(part, axis=(1, 2, 3)).sum())
    if absolute < relative:
        raise TransformError(
            f"{fixed.path}: expected displacements, and this field of FSL looks absolute (positions). Convert it: "
            "convertwarp --abs --ref=REF --warp1=FILE --relout --out=OUT"
        )


def _mapped(matrix: Points, points: Points) -> Points:
    """Map points (3, z, y, x) by a (4, 4) matrix."""
    return moved(matrix, points.reshape(3, -1)).reshape(points.shape)
