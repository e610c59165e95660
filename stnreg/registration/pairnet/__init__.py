"""Pair networks: both images in, an affine out, as in the published method."""
