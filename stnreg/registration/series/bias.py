"""The bias field between two scans of one head: a smooth factor, fitted where the image is flat."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import resample

Array = np.ndarray
BLOCK_MM = 4.0
DEGREE = 7  # of the polynomial in x, y, z
RIDGE = 1e-5  # times the square of the degree of a term, over that of the constant


def bias_and_offset(
    difference: Array, signal: Array, weight: Array, grid: Grid, *, with_offset: bool
) -> tuple[Array, float]:
    """Fit difference = bias(x) signal + offset, by weighted least squares.

    The bias is a polynomial of `DEGREE` in Legendre's form: it has no window, so that it is not biased at the edge of
    the brain, where all that is known lies on one side.

    Parameters
    ----------
    difference, signal, weight : (z, y, x) float32
    grid : Grid
    with_offset : bool
        Without, the offset is 0.

    Returns
    -------
    bias : (z, y, x) float32
    offset : float
    """
    means = [
        block_mean((weight * values).astype(np.float32), grid, BLOCK_MM)
        for values in (signal**2, signal, np.ones_like(signal), difference * signal, difference)
    ]
    coarse = means[0][1]
    shape = means[0][0].shape
    axes = [np.polynomial.legendre.legvander(np.linspace(-1, 1, n), DEGREE) for n in shape]
    terms = np.array([t for t in np.ndindex((DEGREE + 1,) * 3) if sum(t) <= DEGREE])
    z, y, x = np.nonzero(means[2][0] > 0)
    squares, sums, weights, products, differences = (one[z, y, x].astype(float) for one, _ in means)
    design = axes[0][np.ix_(z, terms[:, 0])] * axes[1][np.ix_(y, terms[:, 1])] * axes[2][np.ix_(x, terms[:, 2])]
    count = len(terms)
    normal, rhs = np.zeros((count + 1, count + 1)), np.append(design.T @ products, differences.sum())
    normal[:count, :count] = design.T @ (design * squares[:, None])
    normal[count, :count] = normal[:count, count] = design.T @ sums
    normal[count, count] = weights.sum()
    normal[range(count), range(count)] += RIDGE * squares.sum() * terms.sum(1) ** 2
    used = count + with_offset
    found = np.linalg.lstsq(normal[:used, :used], rhs[:used], rcond=1e-12)[0]
    cube = np.zeros((DEGREE + 1,) * 3)
    cube[tuple(terms.T)] = found[:count]
    field = np.einsum("ijk,zi,yj,xk->zyx", cube, *axes, optimize=True)
    return _up(field, coarse, grid), float(found[count]) if with_offset else 0.0


def _up(values: Array, coarse: Grid, grid: Grid) -> Array:
    """Interpolate to the voxels; beyond the outermost blocks their values are repeated."""
    wide = np.pad(values.astype(np.float32), 1, mode="edge")
    back = np.eye(4)
    back[:3, 3] = -1.0
    return resample(wide, Grid(wide.shape[::-1], coarse.index_to_lps @ back), grid, np.eye(4), "linear")
