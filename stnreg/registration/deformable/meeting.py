"""Where two heads meet: both moved halfway along a velocity, each towards the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stnreg.core.threads import map_threads
from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.appearance import Appearance, AsT1
from stnreg.registration.deformable.instance import box_around
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import interpolate, slabs, turned, voxel_points
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
MARGIN_VOXELS = 8  # around both brains; at its outer voxels the velocity is zero
FADE_VOXELS = 5  # over which it falls to zero


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The part of the frame's box that holds both brains: only there are heads deformed.

    Attributes
    ----------
    part : tuple of slice
        Of arrays (z, y, x) on the box.
    grid : Grid
        Of that part, in the frame.
    """

    part: tuple[slice, ...]
    grid: Grid

    @classmethod
    def of(cls, brains: Array, box: Grid) -> Surroundings:
        """Find the part around a mask (z, y, x) of both brains on the box; all of the box where it is empty."""
        part = box_around(brains, MARGIN_VOXELS) or tuple(slice(0, n) for n in box.shape)
        return cls(part, box.cut(part))

    def cut(self, values: Array) -> Array:
        """Return the part of (z, y, x) values on the box."""
        return np.ascontiguousarray(values[self.part])

    def faded(self, values: Array) -> Array:
        """Return (..., z, y, x) values of the part that fall to zero towards its border."""
        out = values
        for axis, count in zip((-3, -2, -1), self.grid.shape, strict=True):
            to_border = np.minimum(np.arange(count), np.arange(count)[::-1])
            share = np.clip(to_border / FADE_VOXELS, 0, 1)
            window = (share * share * (3 - 2 * share)).astype(np.float32)
            out = out * window.reshape([-1 if a == axis else 1 for a in (-3, -2, -1)])
        return np.ascontiguousarray(out, dtype=np.float32)


def meet(
    fixed: Appearance, moving: Appearance, velocity: VelocityField, region: Surroundings, threads: int
) -> tuple[Appearance, Appearance]:
    """Move both heads halfway.

    Parameters
    ----------
    fixed, moving : Appearance
        On the box.
    velocity : VelocityField
        On the grid of the region.
    region : Surroundings
    threads : int
        Of which two are used, one for each head.

    Returns
    -------
    fixed, moving : Appearance
        The fixed head moved by the flow of -v/2, the moving head by that of v/2: all but what is excluded.
    """
    there, back = velocity.half().raw_flows(threads)
    a, b = map_threads(_along, (fixed, moving), (back, there), (region, region), threads=threads)
    return a, b


def _along(head: Appearance, flow: DisplacementField, region: Surroundings) -> Appearance:
    """Sample a head and where it is known along a flow on the region; beyond it nothing moves."""
    images = [head.image] if head.in_t1 is None else [head.image, head.in_t1.image, head.in_t1.certainty]
    shown = np.stack([*images, (head.brain & ~head.excluded).astype(np.float32)])
    moved = shown.copy()
    inside = moved[(slice(None), *region.part)]
    offset = np.eye(4)
    offset[:3, 3] = [s.start for s in region.part[::-1]]
    index_grid = Grid(region.grid.size, offset)  # voxels of the box
    steps = turned(region.grid.lps_to_index[:3, :3], flow.vectors)
    for slab in slabs(index_grid):
        at = voxel_points(index_grid, slab).astype(np.float32)
        at += steps[:, slab]
        inside[:, slab] = interpolate(shown, at.reshape(3, -1)).reshape(len(shown), *at.shape[1:])
    in_t1 = None if head.in_t1 is None else AsT1(moved[1], moved[2])
    return replace(head, image=moved[0], brain=moved[-1] > 0.5, in_t1=in_t1)
