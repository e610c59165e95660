"""The networks in torch: layers, parameters, losses. No files.

A pair network takes `pair` (N, 2, D, D, D) float32, the fixed image in channel 0 and the moving image in
channel 1, and returns `theta` (N, 3, 4): it maps fixed to moving in the [-1, 1] cube with
`align_corners=False`, on (x, y, z, 1), x running along the last tensor axis. Both images are isotropic
cubes of one size along the LPS axes, each about its own centre, so the linear part of `theta` is the linear
part of the physical map, and a translation of 1 is half the cube's edge.
"""
