"""A deformation on the grid of an image: displacements without the affine, zero beyond the surroundings of brains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stnreg.core.threads import map_threads
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.deformable.frame import Frame
from stnreg.registration.deformable.sampled import Part, SampledWarp, sample_where
from stnreg.registration.deformable.unfold import Watched, smoothed_near, unfolded
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import interpolate, slabs, turned, voxel_points
from stnreg.transforms.squaring import followed
from stnreg.transforms.velocity import VelocityField

ROUNDS = 4
FINE_MM = 1.25  # up to such voxels, what linear interpolation between them loses is small

Warps = list[SampledWarp]
Flows = tuple[DisplacementField, DisplacementField]


@dataclass(frozen=True, eq=False)
class Unfolded:
    """A velocity that does not fold: neither in the frame, nor as its warps are sampled on the grids of both images.

    Attributes
    ----------
    velocity : VelocityField
        In the frame.
    parts : tuple of Part
        Of the fixed and the moving grid.
    warps : tuple of DisplacementField or None
        On those parts: the deformation seen from the fixed image, and its inverse from the moving image, each without
        the affine, LPS mm. None where a part is empty.
    folds_central, folds_digital : int
        Voxels at which one of them folds, by either criterion; none unless the rounds were too few.
    """

    velocity: VelocityField
    parts: tuple[Part, Part]
    warps: tuple[DisplacementField | None, DisplacementField | None]
    folds_central: int
    folds_digital: int


def unfolded_on(
    vectors: np.ndarray, velocity_grid: Grid, frame: Frame, grids: tuple[Grid, Grid], threads: int
) -> Unfolded:
    """Smooth a velocity where its map folds: in the frame, and as it is sampled on the grids of both images.

    Parameters
    ----------
    vectors : (3, z, y, x) float32
        Velocity in the frame, mm.
    velocity_grid : Grid
    frame : Frame
    grids : tuple of Grid
        Of the fixed and the moving image.
    threads : int
        The result is the same for any number.
    """
    to_images = frame.to_fixed, frame.to_moving
    parts = [Part.covered(grid, to_image, velocity_grid) for grid, to_image in zip(grids, to_images, strict=True)]
    warps = [SampledWarp.zero(part, to_image) for part, to_image in zip(parts, to_images, strict=True)]
    watched = Watched.of(VelocityField(vectors, velocity_grid), threads)
    before = None
    for number in range(ROUNDS):
        watched = unfolded(watched, threads)
        velocity = watched.velocity
        flows = velocity.exponential(threads), velocity.inverse().exponential()
        warps = _sampled(warps, flows, before, frame, threads)
        marks = _marks(warps, velocity.grid)
        if not marks.any() or number == ROUNDS - 1:
            break
        before = flows
        watched = watched.changed_to(smoothed_near(velocity.vectors, marks), threads)
    velocity.forget_steps()
    fixed, moving = warps
    return Unfolded(
        velocity,
        (parts[0], parts[1]),
        (fixed.field, moving.field),
        sum(int(warp.central.sum()) for warp in warps),
        sum(int(warp.digital.sum()) for warp in warps),
    )


def _sampled(warps: Warps, flows: Flows, before: Flows | None, frame: Frame, threads: int) -> Warps:
    """Sample both flows, and look for folds; where flows of the round before are given, only where these differ."""
    coarse = _are_coarse(warps)
    if coarse and before is not None:  # as warps are changed below, they are sampled anew
        warps, before = [SampledWarp.zero(one.part, one.frame_to_image) for one in warps], None
    where = [
        (flow.vectors != (0 if old is None else old.vectors)).any(0)
        for flow, old in zip(flows, before or (None, None), strict=True)
    ]
    blocks = sample_where(warps, flows, where, threads)
    if coarse:
        warps = _agreeing(warps, frame, threads)
    map_threads(lambda number, block: warps[number].find_folds(block), *blocks, threads=threads)
    return warps


def _are_coarse(warps: Warps) -> bool:
    spacings_mm = [float(warp.part.grid.spacing.max()) for warp in warps if warp.part.grid is not None]
    return len(spacings_mm) == 2 and max(spacings_mm) > FINE_MM


def _agreeing(warps: Warps, frame: Frame, threads: int) -> Warps:
    """Return two warps made each other's inverse, as those who read them interpolate between coarse voxels.

    Like the flows of a `VelocityField`, but each takes back half of what the other leaves of the identity. Exchange the
    images, and the two change places. Once is enough: what makes them agree also smooths them a little.
    """
    there = frame.to_moving @ invert(frame.to_fixed)
    fields = [warp.field for warp in warps]
    mended = map_threads(_mended, fields, fields[::-1], (there, invert(there)), threads=threads)
    return [replace(warp, vectors=vectors) for warp, vectors in zip(warps, mended, strict=True)]


def _mended(warp: DisplacementField, other: DisplacementField, to_other: Matrix) -> np.ndarray:
    """Return displacements, mm, with half of what `other`, after them, leaves of the identity taken back."""
    grid = warp.grid
    here_to_other = other.grid.lps_to_index @ to_other
    steps = turned(grid.lps_to_index[:3, :3], warp.vectors)
    rest = np.empty_like(steps)
    for slab in slabs(grid):
        at = voxel_points(Grid(grid.size, here_to_other @ grid.index_to_lps), slab)
        at += turned(here_to_other[:3, :3], warp.vectors[:, slab])
        found = interpolate(other.vectors, at.reshape(3, -1)).reshape(at.shape)
        rest[:, slab] = turned(invert(to_other @ grid.index_to_lps)[:3, :3], found) + steps[:, slab]
    rest *= np.float32(-0.5)
    return turned(grid.index_to_lps[:3, :3], followed(steps, rest))


def _marks(warps: Warps, grid: Grid) -> np.ndarray:
    """Return the voxels of the frame, (z, y, x) bool on a grid there, near which warps fold."""
    marks = np.zeros(grid.shape, bool)
    for warp in warps:
        if warp.part.grid is not None:
            index = np.argwhere(warp.central | warp.digital)[:, ::-1].astype(float)
            to_frame = grid.lps_to_index @ invert(warp.frame_to_image) @ warp.part.grid.index_to_lps
            x, y, z = np.clip(np.rint(apply_affine(to_frame, index)), 0, np.array(grid.size) - 1).astype(int).T
            marks[z, y, x] = True
    return marks
