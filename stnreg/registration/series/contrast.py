"""What differs between two scans of one head besides motion: gain, bias field, offset and resolution."""

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.series.lattice import Lattice, bending, gather, solve
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import resample

Array = np.ndarray
BLOCK_MM = 4.0
FLAT_SLOPE = 0.06  # per voxel, in units of contrast: below it, an offset does not look like motion
SMOOTH_VOXELS, NEAR_VOXELS = 2.0, 0.7  # blur of the mean, where offset and bias are fitted; and of its edges
BIAS_MM, BIAS_BENDING, BIAS_STEPS = 32.0, 1e-3, 60


def contrast_difference(mean: Array, difference: Array, weight: Array, grid: Grid, floor: float) -> Array:
    """Return the part of the difference of two images that is no motion.

    It is offset + bias(x) (m + floor) + k laplacian(m), with m the smoothed mean of both. The bias field is a smooth
    spline, which holds the gain, too. Offset and bias are fitted where m is flat, so that motion of edges does not
    count. The last term is a difference in resolution: a Gaussian of variance 2 k more or less.

    A gain that may vary from place to place is not fitted: m hardly varies where it is flat, and the noise that it
    shares with the images would decide.

    Parameters
    ----------
    mean : (z, y, x) float32
        Mean of both images whose noise does not correlate with that of the difference (`weight_of_first`). In units
        of contrast: CSF is 0, the typical brain is 1.
    difference : (z, y, x) float32
        The second image minus the first.
    weight : (z, y, x) float32
        Where the images are compared.
    grid : Grid
    floor : float
        Intensity of CSF in units of contrast: the images are the intensities minus this.

    Returns
    -------
    (z, y, x) float32
        Linear in `difference`: with the images exchanged it changes its sign.
    """
    smooth, near = smoothed(mean, SMOOTH_VOXELS), smoothed(mean, NEAR_VOXELS)
    slope = sum(np.gradient(smooth, axis=k) ** 2 for k in range(3)) / FLAT_SLOPE**2
    flat = (weight / (1 + slope) ** 2).astype(np.float32)
    curved = sum(np.gradient(np.gradient(near, axis=k), axis=k) for k in range(3)).astype(np.float32)
    signal, curvature = smooth + np.float32(floor), float((weight * curved**2).sum(dtype=float))
    # What is orthogonal to the signal: an offset that no gain explains.
    level = _dot(flat, signal) / max(_dot(flat, signal**2), 1e-6)
    unlike = 1 - np.float32(level) * signal
    offset = factor = 0.0
    for _ in range(2):
        left = difference - np.float32(factor) * curved
        for _ in range(2):
            bias = _bias_field(left - np.float32(offset), signal, flat, grid)
            rest = left - bias * signal - np.float32(offset)
            offset += _dot(flat, unlike * rest) / max(_dot(flat, unlike**2), 1e-6)
        field = bias * (near + np.float32(floor)) + np.float32(offset)
        factor = _dot(weight, curved * (difference - field)) / max(curvature, 1e-6)
    return field + np.float32(factor) * curved


def weight_of_first(first_variance: float, second_variance: float) -> float:
    """Return the weight of the first image in a mean whose noise does not correlate with that of the difference.

    Those are the weights of the least noise, too. With equal weights, the noise of the worse image would be in the
    mean and in the difference, and what is fitted to both would follow it.
    """
    total = first_variance + second_variance
    return second_variance / total if total > 0 else 0.5


def _dot(weight: Array, values: Array) -> float:
    return float((weight * values).sum(dtype=float))


def _bias_field(left: Array, signal: Array, weight: Array, grid: Grid) -> Array:
    """Fit a smooth field b to left = b signal: a cubic B-spline with control points every `BIAS_MM`."""
    pull, coarse = block_mean((weight * signal * left).astype(np.float32), grid, BLOCK_MM)
    strength, _ = block_mean((weight * signal**2).astype(np.float32), grid, BLOCK_MM)
    lattice = Lattice(strength.shape, BIAS_MM / float(coarse.spacing.mean()))
    stiff = np.float32(BIAS_BENDING * float(strength.sum()))

    def apply(coefficients: Array) -> Array:
        return gather(strength * lattice.field(coefficients), lattice.fine) + stiff * bending(coefficients)

    z, y, x = (one**2 for one in lattice.fine)
    diagonal = gather(strength[None], (z, y, x)) + 30 * stiff + np.float32(1e-9)
    found = solve(apply, gather(pull[None], lattice.fine), diagonal, BIAS_STEPS)
    return _up(lattice.field(found)[0], coarse, grid)


def noise_of(image: ArrayOnGrid, brain: ArrayOnGrid) -> float:
    """Return the standard deviation of the noise of a scan: robustly, from each voxel minus its six neighbours.

    Parameters
    ----------
    image : (array, Grid)
        In its own voxels: interpolation would smooth the noise.
    brain : (array, Grid)
        Soft brain map.
    """
    array, grid = image
    index = np.argwhere(brain[0] > 0.9)[:, ::-1]
    to_image = grid.lps_to_index @ brain[1].index_to_lps
    place = np.rint(index @ to_image[:3, :3].T + to_image[:3, 3]).astype(int)
    place = place[((place > 0) & (place < np.array(grid.size) - 1)).all(1)]
    if len(place) == 0:
        return 0.0
    x, y, z = place.T
    around = [array[z + k, y + j, x + i] for i, j, k in np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])]
    off = array[z, y, x] - np.mean(np.array(around, np.float32), axis=0)
    return float(1.4826 * np.median(np.abs(off - np.median(off))) / np.sqrt(7 / 6))


def without_noise_floor(image: Array, noise: float) -> Array:
    """Take out what noise adds to the magnitude: about s^2 / 2A where the signal is A (Gudbjartsson and Patz, 1995).

    It is largest in CSF, so that a noisier scan would seem to have a larger brain.
    """
    signal = np.maximum(smoothed(image, 1.0), max(2 * noise, 1e-6))
    return np.asarray(image - np.float32(noise**2 / 2) / signal, np.float32)


def smoothed(image: Array, sigma_voxels: float) -> Array:
    """Blur by a Gaussian."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image, sigma_voxels, truncate=3.0), np.float32)


def _up(values: Array, coarse: Grid, grid: Grid) -> Array:
    """Interpolate to the voxels; beyond the outermost blocks their values are repeated."""
    wide = np.pad(values.astype(np.float32), 1, mode="edge")
    back = np.eye(4)
    back[:3, 3] = -1.0
    return resample(wide, Grid(wide.shape[::-1], coarse.index_to_lps @ back), grid, np.eye(4), "linear")
