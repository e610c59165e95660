"""The bias field between two scans of one head: a smooth factor, fitted where the image is flat."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import resample

Array = np.ndarray
BLOCK_MM = 4.0
DEGREE = 7  # of the polynomial in x, y, z
RIDGE = 1e-5  # times the square of the degree of a term, over that of the constant


class BiasFit:
    """Fits difference = bias(x) signal + offset to differences, by weighted least squares.

    The bias is a polynomial of `DEGREE` in Legendre's form: it has no window, so that it is not biased at the edge of
    the brain, where all that is known lies on one side. What does not depend on the difference is computed once.

    Parameters
    ----------
    signal, weight : (z, y, x) float32
    grid : Grid
    with_offset : bool
        Without, the offset is 0.
    """

    def __init__(self, signal: Array, weight: Array, grid: Grid, *, with_offset: bool) -> None:
        self.signal, self.weight, self.grid, self.with_offset = signal, weight, grid, with_offset
        squares, sums, weights = (self._block_means(one) for one in (signal**2, signal, np.ones_like(signal)))
        self.axes = [np.polynomial.legendre.legvander(np.linspace(-1, 1, n), DEGREE) for n in weights.shape]
        self.terms = np.array([t for t in np.ndindex((DEGREE + 1,) * 3) if sum(t) <= DEGREE])
        self.places = np.nonzero(weights > 0)
        parts = [axis[np.ix_(at, term)] for axis, at, term in zip(self.axes, self.places, self.terms.T, strict=True)]
        self.design = parts[0] * parts[1] * parts[2]
        squares, sums, weights = (one[self.places].astype(float) for one in (squares, sums, weights))
        count = len(self.terms)
        self.normal = np.zeros((count + 1, count + 1))
        self.normal[:count, :count] = self.design.T @ (self.design * squares[:, None])
        self.normal[count, :count] = self.normal[:count, count] = self.design.T @ sums
        self.normal[count, count] = weights.sum()
        self.normal[range(count), range(count)] += RIDGE * squares.sum() * self.terms.sum(1) ** 2

    def of(self, difference: Array) -> tuple[Array, float]:
        """Fit a difference.

        Parameters
        ----------
        difference : (z, y, x) float32

        Returns
        -------
        bias : (z, y, x) float32
        offset : float
        """
        products, differences = (
            self._block_means(one)[self.places].astype(float) for one in (difference * self.signal, difference)
        )
        count = len(self.terms)
        rhs = np.append(self.design.T @ products, differences.sum())
        used = count + self.with_offset
        found = np.linalg.lstsq(self.normal[:used, :used], rhs[:used], rcond=1e-12)[0]
        cube = np.zeros((DEGREE + 1,) * 3)
        cube[tuple(self.terms.T)] = found[:count]
        field = np.einsum("ijk,zi,yj,xk->zyx", cube, *self.axes, optimize=True)
        return _up(field, self.coarse, self.grid), float(found[count]) if self.with_offset else 0.0

    def _block_means(self, values: Array) -> Array:
        """Return the weighted means of blocks, and note the grid of the blocks."""
        means, self.coarse = block_mean((self.weight * values).astype(np.float32), self.grid, BLOCK_MM)
        return means


def _up(values: Array, coarse: Grid, grid: Grid) -> Array:
    """Interpolate to the voxels; beyond the outermost blocks their values are repeated."""
    wide = np.pad(values.astype(np.float32), 1, mode="edge")
    back = np.eye(4)
    back[:3, 3] = -1.0
    return resample(wide, Grid(wide.shape[::-1], coarse.index_to_lps @ back), grid, np.eye(4), "linear")
