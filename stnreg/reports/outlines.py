"""What is drawn around: brain, structures and head of an image, as small whole numbers on any grid.

The anatomy network finds the structures in both images, so that their outlines can be laid over each other. Without it
(pair networks) there is the head alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.preprocessing.components import ellipsoid, filled
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.result import RegistrationResult
from stnreg.transforms.base import Transform
from stnreg.transforms.sampling import moved

GROUPS = {
    "ventricles": ("lateral_ventricle", "third_ventricle", "fourth_ventricle"),
    "thalamus": ("thalamus", "ventral_dc"),
    "striatum": ("caudate", "putamen", "pallidum", "accumbens"),
    "hippocampus": ("hippocampus", "amygdala"),
    "brain_stem": ("brain_stem",),
    "cerebellum": ("cerebellum_white", "cerebellum_cortex", "vermis"),
    "corpus_callosum": ("corpus_callosum",),
}
"""Structures that are outlined together; all others of the brain are one."""
OUTSIDE, HEAD, BRAIN = 0, 1, 2
"""Codes: around the head, the head without the brain, and the first of the brain; the groups follow it."""
HEAD_SHARE = 0.12
"""Of the bright intensity: what is above it belongs to the head."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The groups of structures of one image.

    Attributes
    ----------
    maps : (groups, D, H, W) float32
        Background first, then the rest of the brain, then `GROUPS` in their order; the fraction of each voxel.
    grid : Grid
        Of the maps, in the space of the image.
    """

    maps: NDArray[np.float32]
    grid: Grid

    @cached_property
    def _rows(self) -> NDArray[np.float32]:
        """The maps without the background, (voxels, groups): the shares of a voxel lie side by side."""
        return np.ascontiguousarray(self.maps[1:].reshape(len(self.maps) - 1, -1).T)

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the share of each group but the background at points (3, N), LPS mm: (N, groups); 0 outside."""
        size = np.array(self.grid.size)
        index = moved(self.grid.lps_to_index, points).astype(np.float32)
        within = np.flatnonzero(((index >= 0) & (index <= size[:, None] - 1)).all(axis=0))
        low = np.minimum(np.floor(index[:, within]), size[:, None] - 2).astype(np.intp)
        x, y, z = index[:, within] - low.astype(np.float32)
        base = low[0] + size[0] * (low[1] + size[1] * low[2])
        shares = np.zeros((len(within), self._rows.shape[1]), np.float32)
        for dx, dy, dz in product((0, 1), repeat=3):
            weight = (x if dx else 1 - x) * (y if dy else 1 - y) * (z if dz else 1 - z)
            shares += weight[:, None] * self._rows[base + dx + size[0] * (dy + size[1] * dz)]
        found = np.zeros((points.shape[1], shares.shape[1]), np.float32)
        found[within] = shares
        return found

    def corners_of_brain(self) -> NDArray[np.float64]:
        """Return the lowest and the highest LPS coordinates of the brain, (2, 3), mm."""
        inside = np.argwhere(self.maps[0] < 0.5)[:, ::-1]
        if len(inside) == 0:
            return self.grid.corners_lps()[[0, -1]]
        points = apply_affine(self.grid.index_to_lps, inside)
        half = self.grid.spacing.max() / 2
        return np.array([points.min(axis=0) - half, points.max(axis=0) + half])


def outline_of(encoding: Encoding, names: list[str]) -> Outline:
    """Sum the maps of an encoding into groups.

    Parameters
    ----------
    encoding : Encoding
    names : list of str
        Of its maps, as the sidecar of the network has them: `thalamus_L`.
    """
    plain = [name.removesuffix("_L").removesuffix("_R") for name in names]
    groups = [[k for k, name in enumerate(plain) if name in members] for members in GROUPS.values()]
    rest = [k for k in range(1, len(plain)) if not any(k in members for members in groups)]
    summed = [encoding.maps[[*members]].sum(axis=0) for members in ([0], rest, *groups)]
    return Outline(np.stack(summed).astype(np.float32), encoding.maps_grid)


def outlines_of(result: RegistrationResult) -> tuple[Outline, Outline] | None:
    """Return the outlines of fixed and moving; None where no anatomy network has seen them."""
    names = result.model.card.get("names")
    if result.encodings is None or not names:
        return None
    fixed, moving = (outline_of(encoding, list(names)) for encoding in result.encodings)
    return fixed, moving


def codes_on(
    grid: Grid, values: NDArray[np.floating[Any]], outline: Outline | None, fixed_to_image: Transform
) -> NDArray[np.uint8]:
    """Return the code of each voxel of a grid of the fixed world.

    Parameters
    ----------
    grid : Grid
    values : (z, y, x)
        The image on `grid`, 1 where it is bright.
    outline : Outline or None
        Of the image; None for the head alone.
    fixed_to_image : Transform
        Fixed LPS points to points of the image, mm.
    """
    codes = _head(values).astype(np.uint8)
    if outline is None:
        return codes
    groups = np.zeros(grid.shape, np.uint8)
    for place, points in zip(groups, _planes_of(fixed_to_image, grid), strict=True):
        shares = outline.at(points)
        group = shares.argmax(axis=1) + BRAIN
        place[...] = np.where(shares.sum(axis=1) > 0.5, group, 0).reshape(place.shape)
    codes[_filled(groups > 0)] = BRAIN  # also what it encloses: between the hemispheres
    return np.where(groups > 0, groups, codes)


def _planes_of(transform: Transform, grid: Grid) -> Iterator[NDArray[np.float64]]:
    """Yield the points (3, N) of each plane of a grid, LPS mm, mapped by a transform."""
    x, y, _ = grid.size
    for z in range(grid.size[2]):
        shift = np.eye(4)
        shift[2, 3] = z
        yield transform.map_voxels(Grid((x, y, 1), grid.index_to_lps @ shift)).reshape(3, -1)


def _head(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return where the head is: what is not dark, without specks, and what that encloses."""
    return _filled(values > HEAD_SHARE, without_specks=True)


def _filled(inside: NDArray[np.bool_], *, without_specks: bool = False) -> NDArray[np.bool_]:
    """Fill the holes of a region (z, y, x); in the plane, if there is one slice."""
    from scipy import ndimage

    region = inside[0] if len(inside) == 1 else inside
    if without_specks:
        ball = ellipsoid(np.ones(region.ndim, int))
        region = ndimage.binary_dilation(ndimage.binary_erosion(region, ball, border_value=1), ball)
    return filled(region).reshape(inside.shape)


def brain_box(fixed: Volume, outline: Outline | None, margin_mm: float) -> NDArray[np.float64]:
    """Return the lowest and the highest LPS coordinates to show, (2, 3), mm: the brain and a margin, in the image.

    Without an outline it is the head: what is brighter than a fifth of the bright intensity.
    """
    corners = fixed.grid.corners_lps()
    edges = np.array([corners.min(axis=0), corners.max(axis=0)])
    if outline is not None:
        low, high = outline.corners_of_brain()
    else:
        array = fixed.array[::2, ::2, ::2]
        bright = np.argwhere(array > 0.2 * np.percentile(array, 99))[:, ::-1]
        if len(bright) == 0:
            return edges
        # Between percentiles, so that no lone bright voxel widens the box.
        points = apply_affine(fixed.grid.index_to_lps, 2 * bright)
        low, high = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
    low, high = np.maximum(low - margin_mm, edges[0]), np.minimum(high + margin_mm, edges[1])
    return edges if (high - low).min() < 10 else np.array([low, high])
