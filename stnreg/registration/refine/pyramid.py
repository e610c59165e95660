"""One image, coarse to fine, as the refinement looks at it: locally normalised, and where to take samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import closest_canonical
from stnreg.registration.refine.region import BLOCK_MM, BRAIN_SHARE, Image, Region, at_voxels, box_mean, crop, share_on
from stnreg.resampling.block_mean import block_mean, shrink_factors
from stnreg.resampling.trilinear import interpolate, interpolate_with_gradient

Array = np.ndarray
WINDOW_MM = 24.0  # edge of the box that is normalised over
FLOOR_SHARE = 0.03  # of the brightest: a deviation below this is noise, and is not blown up


@dataclass(frozen=True)
class Local:
    """Local mean and deviation of an image on a coarse grid; NaN where nothing may be seen."""

    mean: Array
    deviation: Array
    grid: Grid


@dataclass(frozen=True)
class Level:
    """One image at one resolution.

    Parameters
    ----------
    values : (z, y, x) ndarray
        Normalised, float32, NaN where nothing may be seen; or intensities of any type, with `local` to normalise by.
    grid : Grid
        Where the voxels lie.
    share : (z, y, x) float32
        How much is looked at, 0 to 1, in blocks; NaN where nothing may be seen.
    share_grid : Grid
        Where the blocks lie.
    local : Local, optional
        What turns intensities into normalised ones, where that is left to the moment of looking.
    """

    values: Array
    grid: Grid
    share: Array
    share_grid: Grid
    local: Local | None = None

    def values_at(self, points: Array, points_to_lps: Array) -> Array:
        """Return the normalised image at (3, N) points; (N,) float32, NaN where nothing is seen."""
        found = interpolate(self.values, transform(self.grid.lps_to_index @ points_to_lps, points))
        if self.local is None:
            return found
        mean, deviation = self._moments(points, points_to_lps)
        return (found - mean) / deviation

    def values_and_gradient_at(self, points: Array, points_to_lps: Array) -> tuple[Array, Array]:
        """Return the normalised image at points, and its (3, N) derivative by them."""
        to_index = self.grid.lps_to_index @ points_to_lps
        found, gradient = interpolate_with_gradient(self.values, transform(to_index, points))
        gradient = to_index[:3, :3].T.astype(np.float32) @ gradient
        if self.local is None:
            return found, gradient
        # The window is wide and the motion small: mean and deviation need no derivative.
        mean, deviation = self._moments(points, points_to_lps)
        gradient /= deviation
        return (found - mean) / deviation, gradient

    def _moments(self, points: Array, points_to_lps: Array) -> tuple[Array, Array]:
        assert self.local is not None
        index = transform(self.local.grid.lps_to_index @ points_to_lps, points)
        return interpolate(self.local.mean, index), interpolate(self.local.deviation, index)


def transform(a_to_b: Array, points: Array) -> Array:
    """Take (3, N) float32 points to another space, in float32."""
    moved = a_to_b[:3, :3].astype(np.float32) @ points
    moved += a_to_b[:3, 3].astype(np.float32)[:, None]
    return moved


def build_levels(image: Image, spacings_mm: Sequence[float], region: Region) -> list[Level]:
    """Average an image down to each spacing and normalise it there.

    Parameters
    ----------
    image : (array, Grid)
        Intensities, any real type.
    spacings_mm : sequence of float
        In any order; each is averaged from the next finer one.
    region : Region
        Where to look; the foreground where it says nothing.

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
        blocks, block_grid, share = _shares(part, part_grid, region)
        mean, deviation = _local_moments(part, share > BRAIN_SHARE, part_grid.spacing)
        values = (part - mean) / deviation
        values[np.isnan(share)] = np.nan
        levels[spacing_mm] = Level(values, part_grid, blocks, block_grid)
    return [levels[spacing_mm] for spacing_mm in spacings_mm]


def finest_levels(image: Image, spacing_mm: float, regions: Sequence[Region]) -> list[Level]:
    """Look at the image itself (averaged only below `spacing_mm`) in several regions, normalised as it is looked at.

    Mean and deviation are found in blocks of `BLOCK_MM`, which is what makes a fine level cheap.
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
        levels.append(Level(array, grid, share, part_grid, Local(mean, deviation, part_grid)))
    return levels


def with_checkerboard_brain(level: Level, region: Region) -> Level:
    """Leave every other block of the brain unsampled, where what surrounds the brain is looked at as well.

    Skull and scalp keep their size over years in which a brain loses some of its own.
    """
    if region.brain is None or region.mask is not None:
        return level
    inside = at_voxels(region.brain, level.share_grid) > BRAIN_SHARE
    odd = np.indices(level.share.shape).sum(0) % 2 == 1
    return replace(level, share=np.where(inside & odd, np.float32(0), level.share))


def upright(array: Array, grid: Grid) -> Image:
    """Store a small image along L, P, S, so that the order of its voxels has no say in which of them are looked at."""
    turned, turned_grid = closest_canonical(array, grid)
    return np.ascontiguousarray(turned), turned_grid


def check_image(image: Image) -> Image:
    """Return the image, whose array must be on its grid."""
    if image[0].shape != image[1].shape:
        raise DataError(f"expected an image on its grid, {image[1].shape}, got {image[0].shape}")
    return image


def _shares(means: Array, grid: Grid, region: Region) -> tuple[Array, Grid, Array]:
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
    """Return mean and deviation over the part of a box that is `within`; (z, y, x) float32 each.

    The deviation is kept from below by `FLOOR_SHARE` of the brightest value.
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
