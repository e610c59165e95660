"""The deformable stage: a velocity field between two heads that an affine has brought together."""
