"""Transforms as objects: fixed points to moving points, LPS mm; their files are in `stnreg.transforms.io`."""
