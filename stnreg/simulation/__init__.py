"""Pairs whose true transform is known: moves of a scan, heads painted from label maps, damaged cubes.

A *recipe* (`scans`, `heads`, `cubes`) plans a pair and paints it, both from generators that depend on the seed, the
split and the pair's number alone; `dataset` makes many, in parallel, and picks up where it stopped. Numpy and
SimpleITK; the painter that training uses is `stnreg.training.anatomy.painting`, on the same table of tissues.
"""
