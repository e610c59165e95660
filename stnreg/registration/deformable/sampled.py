"""A flow of the frame on the grid of an image: sampled, and looked at for folds, block by block.

Most of an image is not brain, and a flow is smoothed in few places: a block is computed only where the flow is not
zero, or has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stnreg.core.threads import map_threads
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.jacobian import find_folds

Mask = NDArray[np.bool_]
Block = tuple[slice, slice, slice]
BLOCK_VOXELS = 48  # along each axis
MARGIN_VOXELS = 2  # of the flow: around a block, so that its neighbours' cells are looked at too


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
        return cls(whole, slices, whole.cut(slices))

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
class SampledWarp:
    """A flow of the frame on the part of an image's grid, LPS mm, without the affine.

    Attributes
    ----------
    part : Part
        Its grid is there.
    frame_to_image : (4, 4) float64
    vectors : (3, z, y, x) float32
        On the part.
    central, digital : (z, y, x) bool
        Where it folds, by either criterion of `jacobian.Folds`.
    """

    part: Part
    frame_to_image: Matrix
    vectors: NDArray[np.float32]
    central: Mask
    digital: Mask

    @classmethod
    def zero(cls, part: Part, frame_to_image: Matrix) -> SampledWarp:
        """Return the identity."""
        shape = (0, 0, 0) if part.grid is None else part.grid.shape
        vectors = np.zeros((3, *shape), np.float32)
        return cls(part, frame_to_image, vectors, np.zeros(shape, bool), np.zeros(shape, bool))

    @property
    def field(self) -> DisplacementField | None:
        """The warp; None where the part is empty."""
        return None if self.part.grid is None else DisplacementField(self.vectors, self.part.grid)

    def near(self, where: Mask, flow_grid: Grid) -> list[Block]:
        """Return the blocks around which a mask (z, y, x) on the grid of a flow, in the frame, has a voxel."""
        if self.part.grid is None:
            return []
        to_flow = flow_grid.lps_to_index @ invert(self.frame_to_image) @ self.part.grid.index_to_lps
        last = np.array(flow_grid.size) - 1
        found = []
        for block in _blocks(self.part.grid.shape):
            corners = np.array(list(product(*((one.start, one.stop - 1) for one in block[::-1]))), float)
            at = apply_affine(to_flow, corners)
            # Beyond its grid a flow has the nearest value.
            low = np.clip(np.floor(at.min(0)).astype(int) - MARGIN_VOXELS, 0, last)
            high = np.clip(np.ceil(at.max(0)).astype(int) + MARGIN_VOXELS, low, last) + 1
            if where[tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))].any():
                found.append(block)
        return found

    def sample(self, flow: DisplacementField, block: Block) -> None:
        """Sample a flow of the frame in a block."""
        assert self.part.grid is not None
        self.vectors[(slice(None), *block)] = flow.carried(self.frame_to_image, self.part.grid.cut(block)).vectors

    def find_folds(self, block: Block) -> None:
        """Look for folds in a block, whose neighbours are sampled."""
        assert self.part.grid is not None
        wide = tuple(slice(max(one.start - 1, 0), one.stop + 1) for one in block)
        vectors = self.vectors[(slice(None), *wide)]
        linear = self.part.grid.index_to_lps
        central, digital, _ = find_folds(vectors, Grid(vectors.shape[:0:-1], linear))
        inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(block, wide, strict=True))
        self.central[block], self.digital[block] = central[inner], digital[inner]


def sample_where(
    warps: Sequence[SampledWarp], flows: Sequence[DisplacementField], where: Sequence[Mask], threads: int
) -> tuple[list[int], list[Block]]:
    """Sample flows near masks (z, y, x) on their grids; return in which blocks, and of which warps these are."""
    near = [warp.near(mask, flow.grid) for warp, flow, mask in zip(warps, flows, where, strict=True)]
    numbers = [number for number, blocks in enumerate(near) for _ in blocks]
    blocks = [block for some in near for block in some]
    map_threads(lambda number, block: warps[number].sample(flows[number], block), numbers, blocks, threads=threads)
    return numbers, blocks


def _blocks(shape: tuple[int, ...]) -> Iterator[Block]:
    z, y, x = ([slice(k, min(k + BLOCK_VOXELS, n)) for k in range(0, n, BLOCK_VOXELS)] for n in shape)
    yield from product(z, y, x)
