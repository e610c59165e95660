"""Evaluation of registrations: overlap, surface distance, similarity, transform error.

Every function is pure (arrays and grids in, numbers out) and states its unit and its definition, since
one name stands for several in the field. `evaluate` is the only module here that opens files.

* `overlap`: Dice and Jaccard of label maps.
* `surface`: Hausdorff, HD95, ASSD, modified Hausdorff between boundaries, mm.
* `similarity`: MI, NMI, NCC, MSE of intensities over a mask.
* `transforms`: target error, parameter errors of an affine, Jacobian determinant.
* `foreground`: a head mask, for images without labels.
* `bootstrap`: confidence interval of a mean over pairs.
"""
