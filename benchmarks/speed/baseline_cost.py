"""The baseline cost: the least that any tool must do to bring one image onto another, the "floor" of the tables.

    python benchmarks/speed/baseline_cost.py FIXED MOVING OUT.nii.gz

Imports SimpleITK, reads both images as float32, resamples linearly, writes int16 at gzip level 1.
"""

import sys

import SimpleITK as sitk

fixed, moving = (sitk.ReadImage(path, sitk.sitkFloat32) for path in sys.argv[1:3])
moved = sitk.Resample(moving, fixed, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0, sitk.sitkInt16)
sitk.WriteImage(moved, sys.argv[3], useCompression=True, compressionLevel=1)
