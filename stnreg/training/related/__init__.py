"""Training related published methods in small: linear-deformable, dual-guided, bspline."""
