"""What registration is judged by: overlap, surface distance, similarity, transform error.

Every function is pure (arrays and grids in, numbers out) and names its unit and its definition, since
the field uses one name for several. `evaluation` is the one module here that opens files.

* `overlap`: Dice and Jaccard of label maps.
* `surface`: Hausdorff, HD95, ASSD, modified Hausdorff between boundaries, mm.
* `similarity`: MI, NMI, NCC, MSE of intensities over a mask.
* `transforms`: target error, parameter errors of an affine, Jacobian determinant.
* `foreground`: the head as a mask, for images without labels.
* `bootstrap`: an interval around a mean over pairs.
"""
