"""A deformation on the grid of an image: displacements without the affine, zero beyond the surroundings of brains."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.deformable.frame import Frame
from stnreg.registration.deformable.unfold import Watched, smoothed_near, unfolded
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.jacobian import Folds, find_folds
from stnreg.transforms.velocity import VelocityField

ROUNDS = 4
FINE_MM = 1.25  # up to such voxels, what linear interpolation between them loses is small

Warps = Sequence[DisplacementField | None]


@dataclass(frozen=True, eq=False)
class Part:
    """The part of an image's grid that the velocity's grid covers.

    Attributes
    ----------
    whole : Grid
        Of the image.
    slices : tuple of slice
        Of arrays (z, y, x) on it.
    grid : Grid or None
        Of the part; None where it is empty.
    """

    whole: Grid
    slices: tuple[slice, slice, slice]
    grid: Grid | None

    @classmethod
    def covered(cls, whole: Grid, frame_to_image: Matrix, velocity_grid: Grid) -> Part:
        """Find the part of a grid within the velocity's, by way of the frame."""
        corners = apply_affine(whole.lps_to_index @ frame_to_image, velocity_grid.corners_lps())
        low = np.clip(np.floor(corners.min(0)).astype(int), 0, whole.size)
        high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low, whole.size)
        (x0, y0, z0), (x1, y1, z1) = low.tolist(), high.tolist()
        slices = slice(z0, z1), slice(y0, y1), slice(x0, x1)
        if not (high > low).all():
            return cls(whole, slices, None)
        shift = np.eye(4)
        shift[:3, 3] = low
        return cls(whole, slices, Grid((x1 - x0, y1 - y0, z1 - z0), whole.index_to_lps @ shift))

    def pasted(self, field: DisplacementField | None) -> DisplacementField:
        """Return a field on the part as one on the whole grid, zero beyond it."""
        vectors = np.zeros((3, *self.whole.shape), np.float32)
        if field is not None:
            vectors[(slice(None), *self.slices)] = field.vectors
        return DisplacementField(vectors, self.whole)

    def sampled(self, transform: Transform) -> DisplacementField:
        """Sample a transform without its affine on the part, zero beyond it."""
        return self.pasted(None if self.grid is None else transform.to_displacement(self.grid))


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
    folds : tuple of Folds
        Of those of the warps that are there; none unless the rounds were too few.
    """

    velocity: VelocityField
    parts: tuple[Part, Part]
    warps: tuple[DisplacementField | None, DisplacementField | None]
    folds: tuple[Folds, ...]


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
        Of which two are used, one for each image; the result is the same.
    """
    to_images = frame.to_fixed, frame.to_moving
    parts = [Part.covered(grid, to_image, velocity_grid) for grid, to_image in zip(grids, to_images, strict=True)]
    watched = Watched.of(VelocityField(vectors, velocity_grid), threads)
    with ThreadPoolExecutor(min(max(threads, 1), 2)) as pool:
        for number in range(ROUNDS):
            watched = unfolded(watched, threads)
            velocity = watched.velocity
            warps: Warps = ()  # those of the round before are not kept while others are made
            warps = list(pool.map(_seen_from, parts, to_images, (velocity, velocity.inverse())))
            if _are_coarse(warps):
                warps = _agreeing(warps, frame, pool)
            folds, marks = _folds_of(warps, to_images, velocity.grid, pool)
            if not marks.any() or number == ROUNDS - 1:
                break
            watched = watched.changed_to(smoothed_near(velocity.vectors, marks), threads)
    velocity.forget_steps()
    return Unfolded(velocity, (parts[0], parts[1]), (warps[0], warps[1]), folds)


def _seen_from(part: Part, to_image: Matrix, velocity: VelocityField) -> DisplacementField | None:
    """Return a flow on the part of an image's grid; None where that is empty."""
    if part.grid is None:
        return None
    # To the frame, along the flow, and back to the same image.
    return velocity.exponential().carried(to_image, part.grid)


def _are_coarse(warps: Warps) -> bool:
    spacings_mm = [float(warp.grid.spacing.max()) for warp in warps if warp is not None]
    return len(spacings_mm) == 2 and max(spacings_mm) > FINE_MM


def _agreeing(warps: Warps, frame: Frame, pool: ThreadPoolExecutor) -> Warps:
    """Return two warps made each other's inverse, as those who read them interpolate between coarse voxels.

    Like the flows of a `VelocityField`, but each takes back half of what the other leaves of the identity. Exchange the
    images, and the two change places. Once is enough: what makes them agree also smooths them a little.
    """
    there = frame.to_moving @ invert(frame.to_fixed)
    return list(pool.map(_mended, warps, warps[::-1], (there, invert(there))))


def _mended(warp: DisplacementField, other: DisplacementField, to_other: Matrix) -> DisplacementField:
    left = Chain((warp, Affine(to_other), other, Affine(invert(to_other)))).to_displacement(warp.grid)
    return Chain((DisplacementField(left.vectors * np.float32(-0.5), warp.grid), warp)).to_displacement(warp.grid)


def _folds_of(
    warps: Warps, to_images: tuple[Matrix, Matrix], grid: Grid, pool: ThreadPoolExecutor
) -> tuple[tuple[Folds, ...], np.ndarray]:
    """Count the folds of the warps, and return the voxels of the frame, (z, y, x) on `grid`, near which they are."""
    marks = np.zeros(grid.shape, bool)
    counts = []
    there = [(warp, to_image) for warp, to_image in zip(warps, to_images, strict=True) if warp is not None]
    found = pool.map(lambda one: find_folds(one[0].vectors, one[0].grid), there)
    for (warp, to_image), (folds, where) in zip(there, found, strict=True):
        counts.append(folds)
        index = np.argwhere(where)[:, ::-1].astype(float)
        to_frame = grid.lps_to_index @ invert(to_image) @ warp.grid.index_to_lps
        x, y, z = np.clip(np.rint(apply_affine(to_frame, index)), 0, np.array(grid.size) - 1).astype(int).T
        marks[z, y, x] = True
    return tuple(counts), marks
