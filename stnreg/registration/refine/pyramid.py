"""The image pyramid of the refinement: block means, locally normalised, with a soft sampling mask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.geometry.orientation import closest_canonical
from stnreg.registration.refine.region import (
    BLOCK_MM,
    BRAIN_SHARE,
    Region,
    at_voxels,
    box_mean,
    crop,
    share_on,
)
from stnreg.resampling.block_mean import block_mean, shrink_factors
from stnreg.resampling.trilinear import interpolate, interpolate_with_gradient

Array = np.ndarray
WINDOW_MM = 24.0  # edge of the normalisation window
FLOOR_SHARE = 0.03  # lower bound of the local standard deviation, relative to the brightest intensity


@dataclass(frozen=True)
class LocalMoments:
    """Local mean and standard deviation of an image on a coarse grid; NaN where the image is not used."""

    mean: Array
    deviation: Array
    grid: Grid


@dataclass(frozen=True)
class PyramidLevel:
    """One image at one resolution.

    Parameters
    ----------
    values : (z, y, x) ndarray
        Normalised, float32, NaN where the image is not used; or intensities of any type, to be normalised by `local`.
    grid : Grid
        Grid of `values`.
    share : (z, y, x) float32
        Soft sampling mask in blocks, 0 to 1; NaN where the image is not used.
    share_grid : Grid
        Grid of `share`.
    local : LocalMoments, optional
        Local moments, if normalisation is left to interpolation.
    """

    values: Array
    grid: Grid
    share: Array
    share_grid: Grid
    local: LocalMoments | None = None

    def values_at(self, points: Array, points_to_lps: Array) -> Array:
        """Interpolate the normalised image at (3, N) points; (N,) float32, NaN outside."""
        found = interpolate(self.values, transform(self.grid.lps_to_index @ points_to_lps, points))
        if self.local is None:
            return found
        mean, deviation = self._moments(points, points_to_lps)
        return (found - mean) / deviation

    def values_and_gradient_at(self, points: Array, points_to_lps: Array) -> tuple[Array, Array]:
        """Interpolate the normalised image at (3, N) points, and return its gradient by them, (3, N)."""
        to_index = self.grid.lps_to_index @ points_to_lps
        found, gradient = interpolate_with_gradient(self.values, transform(to_index, points))
        gradient = to_index[:3, :3].T.astype(np.float32) @ gradient
        if self.local is None:
            return found, gradient
        # The gradient of the local moments is neglected: the window is wide.
        mean, deviation = self._moments(points, points_to_lps)
        gradient /= deviation
        return (found - mean) / deviation, gradient

    def _moments(self, points: Array, points_to_lps: Array) -> tuple[Array, Array]:
        assert self.local is not None
        index = transform(self.local.grid.lps_to_index @ points_to_lps, points)
        return interpolate(self.local.mean, index), interpolate(self.local.deviation, index)


def transform(a_to_b: Array, points: Array) -> Array:
    """Map (3, N) float32 points to another space, in float32."""
    moved = a_to_b[:3, :3].astype(np.float32) @ points
    moved += a_to_b[:3, 3].astype(np.float32)[:, None]
    return moved


def build_levels(image: ArrayOnGrid, spacings_mm: Sequence[float], region: Region) -> list[PyramidLevel]:
    """Average an image down to each spacing and normalise it there.

    Parameters
    ----------
    image : (array, Grid)
        Intensities, any real type.
    spacings_mm : sequence of float
        In any order; each is averaged from the next finer one.
    region : Region
        The part of the image to use; an empty region means the foreground.

    Raises
    ------
    DataError
        If the array is not on its grid.
    """
    means, grid = check_image(image)
    levels = {}
    for spacing_mm in sorted(spacings_mm):
        means, grid = upright(*block_mean(means, grid, spacing_mm))
        part, part_grid = crop(np.nan_to_num(means, copy=False), grid, region)
        blocks, block_grid, share = shares(part, part_grid, region)
        mean, deviation = _local_moments(part, share > BRAIN_SHARE, part_grid.spacing)
        values = (part - mean) / deviation
        values[np.isnan(share)] = np.nan
        levels[spacing_mm] = PyramidLevel(values, part_grid, blocks, block_grid)
    return [levels[spacing_mm] for spacing_mm in spacings_mm]


def finest_levels(image: ArrayOnGrid, spacing_mm: float, regions: Sequence[Region]) -> list[PyramidLevel]:
    """Build one level at full resolution (averaged only below `spacing_mm`) for each of several regions.

    Local moments are computed in blocks of `BLOCK_MM` and applied during interpolation, which keeps fine levels cheap.
    """
    array, grid = check_image(image)
    means, means_grid = upright(*block_mean(array, grid, BLOCK_MM))
    np.nan_to_num(means, copy=False)
    if shrink_factors(grid, spacing_mm) != (1, 1, 1):
        array, grid = block_mean(array, grid, spacing_mm)
    array = np.ascontiguousarray(array)
    levels = []
    for region in regions:
        part, part_grid = crop(means, means_grid, region)
        share = share_on(region, part, part_grid)
        mean, deviation = _local_moments(part, share > BRAIN_SHARE, part_grid.spacing)
        mean[np.isnan(share)] = np.nan
        levels.append(PyramidLevel(array, grid, share, part_grid, LocalMoments(mean, deviation, part_grid)))
    return levels


def with_checkerboard_brain(level: PyramidLevel, region: Region) -> PyramidLevel:
    """Sample the brain at half density, if its surroundings are sampled too.

    Skull and scalp keep their size over years in which the brain shrinks.
    """
    if region.brain is None or region.mask is not None:
        return level
    inside = at_voxels(region.brain, level.share_grid) > BRAIN_SHARE
    odd = np.indices(level.share.shape).sum(0) % 2 == 1
    return replace(level, share=np.where(inside & odd, np.float32(0), level.share))


def upright(array: Array, grid: Grid) -> ArrayOnGrid:
    """Reorder the voxels of a small image along L, P, S, so that sampling does not depend on their order."""
    turned, turned_grid = closest_canonical(array, grid)
    return np.ascontiguousarray(turned), turned_grid


def check_image(image: ArrayOnGrid) -> ArrayOnGrid:
    """Return the image, whose array must be on its grid."""
    if image[0].shape != image[1].shape:
        raise DataError(f"expected an image on its grid, {image[1].shape}, got {image[0].shape}")
    return image


def shares(means: Array, grid: Grid, region: Region) -> tuple[Array, Grid, Array]:
    """Return the shares of blocks, the grid of the blocks, and the shares of all voxels of the finer grid."""
    fx, fy, fz = shrink_factors(grid, BLOCK_MM)
    if (fx, fy, fz) == (1, 1, 1) or (region.brain is None and region.mask is None):
        share = share_on(region, means, grid)
        return share, grid, share
    block_to_index = np.diag([fx, fy, fz, 1.0])
    block_to_index[:3, 3] = (np.array([fx, fy, fz]) - 1) / 2
    nx, ny, nz = (-(-n // f) for n, f in zip(grid.size, (fx, fy, fz), strict=True))
    blocks = Grid((nx, ny, nz), grid.index_to_lps @ block_to_index)
    share = share_on(region, means, blocks)
    z, y, x = grid.shape
    return share, blocks, share.repeat(fz, 0)[:z].repeat(fy, 1)[:, :y].repeat(fx, 2)[:, :, :x]


def _local_moments(values: Array, within: Array, spacing_mm: Array) -> tuple[Array, Array]:
    """Return local mean and standard deviation over the voxels `within` the mask; (z, y, x) float32 each.

    The standard deviation is at least about `FLOOR_SHARE` of the brightest value.
    """
    top = np.float32(np.percentile(values[within], 99.5)) if within.any() else np.float32(1)
    top = top if top > 0 else np.float32(1)
    reach = [max(round(WINDOW_MM / 2 / float(s) - 0.5), 1) for s in spacing_mm[::-1]]
    inside = values * within
    inside /= top
    full = np.maximum(box_mean(within.astype(np.float32), reach), np.float32(1e-3))
    mean = box_mean(inside, reach) / full
    inside *= inside
    variance = box_mean(inside, reach) / full - mean * mean
    return mean * top, np.sqrt(np.maximum(variance, 0) + np.float32(FLOOR_SHARE**2)) * top
