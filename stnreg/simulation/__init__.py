"""Simulated pairs with a known transform: moved scans, heads painted from label maps, damaged cubes.

A *recipe* (`scans`, `heads`, `cubes`) plans a pair and paints it. Its random numbers depend on the seed, the
split and the number of the pair only. `dataset` makes many pairs, in parallel, and can be resumed. Numpy and
SimpleITK; the painter that training uses is `stnreg.training.anatomy.painting`, on the same table of tissues.
"""
