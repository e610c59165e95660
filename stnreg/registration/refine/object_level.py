"""One image as a whole object at several resolutions: plain intensities, and the outline against the air around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.refine.pyramid import PyramidLevel, check_image, upright
from stnreg.registration.refine.region import BRAIN_SHARE, FOREGROUND_SHARE, Region, share_on
from stnreg.registration.refine.samples import SampledImage, Samples, take_samples
from stnreg.resampling.block_mean import block_mean

Array = np.ndarray
DARKEST, BRIGHTEST = 0.1, 99.8  # percentiles that become 0 and 1; what lies beyond is clipped
COARSE = 48  # blocks along the longest edge, to measure an object by
AROUND_MM = 30.0  # of air around the object: enough to tell an outline


@dataclass(frozen=True)
class ObjectLevel(PyramidLevel):
    """One image at one resolution; `values` are intensities from 0 to 1, not normalised locally.

    Parameters
    ----------
    outline : (z, y, x) float32 or None
        Fraction of each voxel of `grid` that the object fills, 0 to 1; NaN where the image is not used. None if the
        outlines are not to be compared.
    """

    outline: Array | None = field(kw_only=True)

    @property
    def outline_level(self) -> PyramidLevel:
        """The outline as an image of its own."""
        assert self.outline is not None
        return PyramidLevel(self.outline, self.grid, self.share, self.share_grid)

    @property
    def object_alone(self) -> PyramidLevel:
        """The same image, sampled inside the object alone."""
        assert self.outline is not None
        return PyramidLevel(self.values, self.grid, np.nan_to_num(self.outline), self.grid)


@dataclass(frozen=True)
class ObjectSamples(Samples):
    """Samples of an object; `outlines` (N,) float32 is its outline there, or None."""

    outlines: Array | None = field(kw_only=True)


def object_levels(image: ArrayOnGrid, spacings_mm: Sequence[float], region: Region) -> list[ObjectLevel]:
    """Average an image down to each spacing, with the outline of what is in it.

    Parameters
    ----------
    image : (array, Grid)
        Intensities, any real type, any object that is brighter than the air around it.
    spacings_mm : sequence of float
        In any order; each is averaged from the next finer one.
    region : Region
        A mask of what to use, and one of what not to use.

    Raises
    ------
    DataError
        If the array is not on its grid.
    """
    means, grid = check_image(image)
    outline: Array | None = None
    levels = {}
    for spacing_mm in sorted(spacings_mm):
        if outline is None:
            means, grid = upright(*block_mean(means, grid, spacing_mm))
            means = _from_0_to_1(np.nan_to_num(means))
            outline = (means > FOREGROUND_SHARE).astype(np.float32)
        else:
            outline, _ = block_mean(outline, grid, spacing_mm)
            means, grid = block_mean(means, grid, spacing_mm)
        levels[spacing_mm] = _level(np.ascontiguousarray(means), np.ascontiguousarray(outline), grid, region)
    return [levels[spacing_mm] for spacing_mm in spacings_mm]


def _from_0_to_1(values: Array) -> Array:
    low, high = np.percentile(values, (DARKEST, BRIGHTEST))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    return np.clip((values - low) / max(high - low, 1e-30), 0, 1).astype(np.float32)


def _level(means: Array, outline: Array, grid: Grid, region: Region) -> ObjectLevel:
    """Build a level; it is sampled in the mask, or in the box around the object."""
    share = share_on(region, means, grid)  # without a mask: NaN where the image is excluded
    if region.mask is None:
        share = np.where(np.isnan(share), share, _box(outline, grid))
    unused = np.isnan(share)
    means, outline = (np.where(unused, np.float32(np.nan), values) for values in (means, outline))
    return ObjectLevel(means, grid, share, grid, outline=outline)


def _box(outline: Array, grid: Grid) -> Array:
    """Return the box of voxels around the object, with `AROUND_MM` of air; everything where there is no object."""
    inside = outline > BRAIN_SHARE
    box = np.zeros(outline.shape, np.float32)
    slices = []
    for axis, spacing in enumerate(grid.spacing[::-1]):
        place = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        room = int(np.ceil(AROUND_MM / spacing))
        slices.append(slice(max(place[0] - room, 0), place[-1] + room + 1) if len(place) else slice(None))
    box[tuple(slices)] = 1
    return box


def sample_object(level: ObjectLevel, count: int) -> SampledImage:
    """Draw up to `count` samples of an object and of the air around it."""
    samples = take_samples(level, count)
    outlines = None
    if level.outline is not None:
        outlines = np.nan_to_num(level.outline_level.values_at(samples.points, samples.to_lps))
    return SampledImage(ObjectSamples(**vars(samples), outlines=outlines), level)


def radius(array: Array, grid: Grid) -> float:
    """Return the root mean square distance of an object from its centre, in the units of its grid; 0 without one."""
    spacing = float(np.max(grid.spacing * grid.size)) / COARSE
    means, coarse = block_mean(array, grid, spacing)
    inside = np.argwhere(_from_0_to_1(np.nan_to_num(means)) > FOREGROUND_SHARE)[:, ::-1]
    if not len(inside):
        return 0.0
    points = apply_affine(coarse.index_to_lps, inside)
    return float(np.sqrt(np.square(points - points.mean(0)).sum(1).mean()))
