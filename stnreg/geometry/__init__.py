"""Coordinates, in numpy alone: every space, direction and order that stnreg uses.

Spaces
    *index*       voxel (x, y, z) of a grid, 0 at the centre of the first voxel; x runs along the last array axis.
    *LPS*         millimetres: x to the patient's left, y to the back, z to the head. ITK's world space, and stnreg's.
    *RAS*         the same with x and y negated. NIfTI's world space; only used for files.
    *normalised*  the cube [-1, 1]^3 around a grid, edge to edge of its outer voxels: `align_corners=False`.

Directions
    A matrix named `a_to_b` maps column points (x, y, z, 1) of space a to space b. Products read right
    to left, and adjacent names match: `index_to_lps = normalized_to_lps @ index_to_normalized`.
    `fixed_to_moving` maps LPS points of the fixed image to LPS points of the moving image. That is what ITK
    writes to disk, and the direction in which resampling pulls.

Orders
    `size` is (x, y, z), as in ITK. `shape` is (z, y, x), as in arrays and tensors. Points are always (x, y, z).
"""
