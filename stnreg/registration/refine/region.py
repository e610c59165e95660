"""The region of an image to use: its brain map, a user's mask, or the head around the brain; minus what is excluded."""

from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.resampling.trilinear import interpolate

Array = np.ndarray

# Thresholds of the soft brain map. The brain ends at 0.5: what lies outside differs between contrasts and people, and
# is missing after skull stripping. Within one contrast the surface reflects folds more than pose, so that samples are
# taken further inside.
BRAIN_SHARE = 0.5
INNER_SHARE = 0.7
BLOCK_MM = 4.0  # the soft brain map has voxels of 5 mm, and no finer detail
FOREGROUND_SHARE = 0.15  # of the brightest, where neither a brain map nor a mask is given
HEAD_MM = 20.0  # skull and scalp lie within this of the brain
MARGIN_MM = 24.0


@dataclass(frozen=True)
class Region:
    """The region of an image to use; each member is (array, Grid) on any grid, or None.

    Parameters
    ----------
    brain : ArrayOnGrid, optional
        Soft brain map, 0 to 1.
    mask : ArrayOnGrid, optional
        Non-zero where the image is used, instead of the brain map; voxels outside it are ignored.
    exclude : ArrayOnGrid, optional
        Non-zero where the image is not used.
    """

    brain: ArrayOnGrid | None = None
    mask: ArrayOnGrid | None = None
    exclude: ArrayOnGrid | None = None

    def with_surroundings(self, reach_mm: float = HEAD_MM) -> "Region":
        """Return the region with what lies within a distance of the brain: by default, skull and scalp."""
        if self.brain is None or self.mask is not None:
            return self
        array, grid = self.brain
        reach = [max(round(reach_mm / 2 / float(s)), 1) for s in grid.spacing[::-1]]
        room = [2 * r for r in reach]
        grown = np.pad((array > 0.5).astype(np.float32), [(r, r) for r in room])
        for _ in range(2):  # a box twice: closer to a ball
            grown = (box_mean(grown, reach) > 1e-5).astype(np.float32)
        back = np.eye(4)
        back[:3, 3] = [-r for r in room[::-1]]
        return replace(self, brain=(grown, Grid(grown.shape[::-1], grid.index_to_lps @ back)))


def share_on(region: Region, means: Array, grid: Grid) -> Array:
    """Return the soft sampling mask of a region on a grid.

    Parameters
    ----------
    region : Region
    means : (z, y, x) float32
        Intensities on the grid; an empty region means their foreground.
    grid : Grid

    Returns
    -------
    share : (z, y, x) float32
        0 to 1; NaN where the image is not used.
    """
    if region.mask is not None:
        share = at_voxels(_presence(region.mask), grid)
        share[share <= BRAIN_SHARE] = np.nan
    elif region.brain is not None:
        share = at_voxels(region.brain, grid)
    else:
        share = (means > FOREGROUND_SHARE * np.percentile(means, 99.5)).astype(np.float32)
    if region.exclude is not None:
        share[at_voxels(_presence(region.exclude), grid) > 0] = np.nan
    return share


def crop(means: Array, grid: Grid, region: Region) -> ArrayOnGrid:
    """Crop an image to its region and `MARGIN_MM` around it."""
    chosen = region.mask or region.brain
    place: Array = np.empty((0, 3), np.intp)
    if chosen is not None:
        place = np.argwhere(chosen[0] > (0 if region.mask else BRAIN_SHARE))[:, ::-1]
    if chosen is None or len(place) == 0:
        return means, grid
    to_index = grid.lps_to_index @ chosen[1].index_to_lps
    index = place @ to_index[:3, :3].T + to_index[:3, 3]
    size = np.array(grid.size)
    margin = MARGIN_MM / grid.spacing
    first = np.clip(np.floor(index.min(0) - margin), 0, size - 1).astype(int)
    last = np.clip(np.ceil(index.max(0) + margin) + 1, first + 1, size).astype(int)
    corner = np.eye(4)
    corner[:3, 3] = first
    part = np.ascontiguousarray(means[first[2] : last[2], first[1] : last[1], first[0] : last[0]])
    return part, Grid(part.shape[::-1], grid.index_to_lps @ corner)


def at_voxels(image: ArrayOnGrid, grid: Grid) -> Array:
    """Interpolate an image at the voxel centres of a grid; (z, y, x) float32, 0 outside it."""
    array, own = image
    grid_to_own = (own.lps_to_index @ grid.index_to_lps).astype(np.float32)
    x, y, z = (np.arange(n, dtype=np.float32) for n in grid.size)
    index = np.empty((3, *grid.shape), np.float32)
    for k, (a, b, c, d) in enumerate(grid_to_own[:3]):
        index[k] = (c * z + d)[:, None, None] + (b * y)[:, None] + a * x
    found = interpolate(np.ascontiguousarray(array, dtype=np.float32), index.reshape(3, -1))
    return np.nan_to_num(found, copy=False).reshape(grid.shape)


def box_mean(values: Array, reach: list[int]) -> Array:
    """Average over boxes of 2 reach + 1 voxels along each array axis, cut off at the borders; (z, y, x) float32."""
    out = values
    for axis, r in enumerate(reach):
        n = out.shape[axis]
        total = np.zeros([m + (a == axis) for a, m in enumerate(out.shape)], np.float32)
        if axis == 2:
            np.cumsum(out, axis=2, out=total[:, :, 1:])
        else:  # whole slices at a time: faster than `cumsum`, which takes one line of voxels after the other
            slices, sums = np.moveaxis(out, axis, 0), np.moveaxis(total, axis, 0)
            for k in range(n):
                np.add(sums[k], slices[k], out=sums[k + 1])
        last = np.minimum(np.arange(n) + r + 1, n)
        first = np.maximum(np.arange(n) - r, 0)
        out = np.take(total, last, axis=axis)
        out -= np.take(total, first, axis=axis)
        out /= (last - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return out


def _presence(mask: ArrayOnGrid) -> ArrayOnGrid:
    return mask[0] != 0, mask[1]
