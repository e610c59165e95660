"""What differs between two scans of one head besides motion: gain, bias field, offset and resolution."""

from collections.abc import Sequence

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.series.bias import BiasFit

Array = np.ndarray
FLAT_SLOPE = 0.06  # per voxel, in units of contrast: below it, an offset does not look like motion
SMOOTH_VOXELS, NEAR_VOXELS = 2.0, 0.7  # blur of the mean, where offset and bias are fitted; and of its edges
TISSUE_SHARE = 0.7  # of the typical brightness of the brain: darker voxels say little of the bias field


def contrast_difference(mean: Array, difference: Array, weight: Array, grid: Grid, floor: float) -> Array:
    """Return the part of the difference of two images that is no motion.

    It is offset + bias(x) (m + floor) + k laplacian(m), with m the smoothed mean of both. The bias field is a
    polynomial, which holds the gain, too. Offset and bias are fitted where m is flat, so that motion of edges does not
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
    flat = weight * flatness(smooth, FLAT_SLOPE)
    curved = sum(np.gradient(np.gradient(near, axis=k), axis=k) for k in range(3)).astype(np.float32)
    signal, curvature, factor = smooth + np.float32(floor), _dot(weight, curved**2), 0.0
    fit = BiasFit(signal, flat, grid, with_offset=True)
    for _ in range(2):
        left = difference - np.float32(factor) * curved
        bias, offset = fit.of(left)
        field = bias * (near + np.float32(floor)) + np.float32(offset)
        factor = _dot(weight, curved * (difference - field)) / max(curvature, 1e-6)
    return field + np.float32(factor) * curved


def flatness(smooth: Array, slope: float) -> Array:
    """Return 1 where a smoothed image is flat, (z, y, x) float32; a quarter where it has the slope, per voxel."""
    steep = sum(np.gradient(smooth, axis=k) ** 2 for k in range(3)) / slope**2
    return (1 / (1 + steep) ** 2).astype(np.float32)


def evened(images: Sequence[Array], variances: Sequence[float], grid: Grid, weight: Array) -> list[Array]:
    """Return images with the brightness and the bias field of their mean.

    Parameters
    ----------
    images : sequence of (z, y, x) float32
        On `grid`, of similar brightness.
    variances : sequence of float
        Of the noise of each.
    grid : Grid
    weight : (z, y, x) float32
        How much each voxel counts; 0 outside the brain.
    """
    for _ in range(2):
        smooth = smoothed(quiet_mean(images, variances), SMOOTH_VOXELS)
        typical = max(float(np.median(smooth[weight > 0.5])), 1e-6) if (weight > 0.5).any() else 1.0
        # Tissue alone: the fluid says little of the field.
        flat = weight * (smooth > TISSUE_SHARE * typical) * flatness(smooth / np.float32(typical), FLAT_SLOPE / 2)
        fit = BiasFit(smooth, flat, grid, with_offset=False)
        fields = [fit.of(image - smooth)[0] for image in images]
        images = [image / np.maximum(1 + field, 0.1) for image, field in zip(images, fields, strict=True)]
    return list(images)


def quiet_mean(images: Sequence[Array], variances: Sequence[float]) -> Array:
    """Return the mean of least noise, whose noise does not correlate with that of differences between the images."""
    weights = 1 / np.maximum(variances, 1e-6 * max(*variances, 1e-6))
    return np.asarray(np.tensordot((weights / weights.sum()).astype(np.float32), np.stack(images), 1))


def weight_of_first(first_variance: float, second_variance: float) -> float:
    """Return the weight of the first image in a mean whose noise does not correlate with that of the difference.

    Those are the weights of the least noise, too. With equal weights, the noise of the worse image would be in the
    mean and in the difference, and what is fitted to both would follow it.
    """
    total = first_variance + second_variance
    return second_variance / total if total > 0 else 0.5


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


def _dot(weight: Array, values: Array) -> float:
    return float((weight * values).sum(dtype=float))
