"""Transforms as objects: affine, displacement field, velocity field, B-spline, and chains of them.

Every transform maps LPS points of the fixed image to LPS points of the moving image, mm: the direction that
resampling needs. Arrays of vectors are (3, z, y, x): component x, y or z first, as in NIfTI files; points are
(..., 3), (x, y, z). The classes need numpy and scipy only; files are in `stnreg.transforms.io`, resampling is in
`stnreg.resampling.warp`.
"""
