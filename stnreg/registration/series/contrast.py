"""What differs between two scans of one head besides motion: gain, bias field, offset and resolution."""

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.refine.region import box_mean
from stnreg.resampling.block_mean import block_mean
from stnreg.resampling.resample import resample

Array = np.ndarray
BLOCK_MM = 4.0
FLAT_SLOPE = 0.06  # per voxel, in units of contrast: below it, an offset does not look like motion
WINDOW_MM = 40.0
PULL = 0.02  # towards no bias field, where little is known


def contrast_difference(a: Array, b: Array, weight: Array, grid: Grid, floor: float) -> Array:
    """Return the part of b - a that is no motion.

    It is offset + gain m + bias(x) (m + floor) + k laplacian(m), with m the smoothed mean of both. Offset and gain
    are two numbers, and the bias field is smooth; they are fitted where m is flat, so that motion of edges does not
    count. The last term is a difference in resolution: a Gaussian of variance 2 k more or less.

    A gain that may vary from place to place is not fitted: m hardly varies where it is flat, and the noise that it
    shares with a and b would decide.

    Parameters
    ----------
    a, b : (z, y, x) float32
        In units of contrast: CSF is 0, the typical brain is 1.
    weight : (z, y, x) float32
        Where the images are compared.
    grid : Grid
    floor : float
        Intensity of CSF in units of contrast: the images are the intensities minus this.

    Returns
    -------
    (z, y, x) float32
        Antisymmetric: with the images exchanged it changes its sign.
    """
    mean, difference = (a + b) / 2, b - a
    smooth = smoothed(mean, 2.0)
    flat = (weight * (sum(np.gradient(smooth, axis=k) ** 2 for k in range(3)) < FLAT_SLOPE**2)).astype(np.float32)
    near = smoothed(mean, 0.7)
    curved = sum(np.gradient(np.gradient(near, axis=k), axis=k) for k in range(3)).astype(np.float32)
    signal, factor = smooth + np.float32(floor), 0.0
    strength, coarse = _window_mean(flat * signal**2, grid)
    for _ in range(2):
        left = difference - np.float32(factor) * curved
        offset, gain = _line(smooth, left, flat)
        left = left - (np.float32(offset) + np.float32(gain) * smooth)
        bias = _window_mean(flat * signal * left, grid)[0] / (strength + PULL * float(strength.max()))
        field = _up(bias, coarse, grid) * (near + np.float32(floor)) + np.float32(offset) + np.float32(gain) * near
        factor = float((weight * curved * (difference - field)).sum() / max((weight * curved**2).sum(), 1e-6))
    return field + np.float32(factor) * curved


def _line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Return offset and slope of the weighted line through points."""
    total = max(float(weight.sum(dtype=float)), 1e-6)
    x_mean, y_mean = float((weight * x).sum(dtype=float)) / total, float((weight * y).sum(dtype=float)) / total
    spread = float((weight * (x - x_mean) ** 2).sum(dtype=float))
    slope = float((weight * (x - x_mean) * (y - y_mean)).sum(dtype=float)) / max(spread, 1e-6)
    return y_mean - slope * x_mean, slope


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


def _window_mean(values: Array, grid: Grid) -> ArrayOnGrid:
    coarse, coarse_grid = block_mean(values.astype(np.float32), grid, BLOCK_MM)
    reach = [max(round(WINDOW_MM / 4 / float(s)), 1) for s in coarse_grid.spacing[::-1]]
    return box_mean(box_mean(coarse, reach), reach), coarse_grid


def _up(values: Array, coarse: Grid, grid: Grid) -> Array:
    """Interpolate to the voxels; beyond the outermost blocks their values are repeated."""
    wide = np.pad(values.astype(np.float32), 1, mode="edge")
    back = np.eye(4)
    back[:3, 3] = -1.0
    return resample(wide, Grid(wide.shape[::-1], coarse.index_to_lps @ back), grid, np.eye(4), "linear")
