"""Nine slices of a pair, three a plane, cropped by the fixed brain: what a page shows of it at a glance."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.outlines import Outline, brain_box, codes_on
from stnreg.resampling.apply import TransformLike, as_transform
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine

MARGIN_MM = 8.0
SHARES = (0.3, 0.5, 0.7)
"""Where the slices lie, as shares of the brain along the normal of their plane."""
QUALITY = 55
# Plane name, its LPS axes across (to the right) and down, the letters at its left, right, upper and lower border.
PLANES = (
    ("sagittal", 1, 2, "A", "P", "S", "I"),
    ("coronal", 0, 2, "R", "L", "S", "I"),
    ("axial", 0, 1, "R", "L", "A", "P"),
)
Outlines = tuple[Outline, Outline] | None


@dataclass(frozen=True)
class Slice:
    """One slice.

    Attributes
    ----------
    plane : int
        Its number in `PLANES`.
    grid : Grid
        One voxel thick: x runs across the picture, y down it.
    number : int
        Of the voxel of the fixed image along the normal, from 0, at the middle of the slice.
    """

    plane: int
    grid: Grid
    number: int

    @property
    def position_mm(self) -> float:
        """Of the slice along its normal, in RAS: right, anterior and superior are positive."""
        normal = normal_of(self.plane)
        return float(self.grid.origin[normal]) * (1 if normal == 2 else -1)


def normal_of(plane: int) -> int:
    """Return the LPS axis across a plane."""
    return 3 - PLANES[plane][1] - PLANES[plane][2]


def place_of(one: Slice) -> str:
    """Return where a slice lies, as people read it: `x -12 mm` in RAS."""
    return f"{'xyz'[normal_of(one.plane)]} {one.position_mm:+.0f} mm"


def choose_slices(
    fixed: Volume, outline: Outline | None, spacing_mm: float, shares: tuple[float, ...] = SHARES
) -> list[Slice]:
    """Return the slices of a fixed image, plane by plane: along the LPS axes, in the radiological convention.

    Parameters
    ----------
    fixed : Volume
    outline : Outline or None
        Of `fixed`; without one the head is shown.
    spacing_mm : float
        From pixel to pixel.
    shares : tuple of float
        Where the slices lie in the brain, 0 to 1.
    """
    low, high = brain_box(fixed, outline, MARGIN_MM)
    slices = []
    for plane, (_, across, down, *_) in enumerate(PLANES):
        normal = normal_of(plane)
        for share in shares:
            place = low.copy()
            place[normal] += share * (high[normal] - low[normal])
            index_to_lps = np.eye(4)
            index_to_lps[:3, :3] = 0
            # S decreases along the y axis of the picture, so that the head is up.
            index_to_lps[across, 0] = spacing_mm
            index_to_lps[down, 1] = -spacing_mm if down == 2 else spacing_mm
            index_to_lps[normal, 2] = spacing_mm
            place[down] = high[2] if down == 2 else low[down]
            index_to_lps[:3, 3] = place
            size = [max(round((high[axis] - low[axis]) / spacing_mm), 2) for axis in (across, down)]
            slices.append(Slice(plane, Grid((size[0], size[1], 1), index_to_lps), _number(fixed.grid, place, normal)))
    return slices


def _number(grid: Grid, place: NDArray[np.float64], normal: int) -> int:
    """Return the number of the voxel at a place, along the voxel axis that is nearest to an LPS axis."""
    axis = int(np.argmax(np.abs(grid.direction[normal])))
    index = (grid.lps_to_index @ [*place, 1])[axis] if grid.is_orthonormal else 0.0
    return int(np.clip(round(float(index)), 0, grid.size[axis] - 1))


def sample(
    volume: Volume, grid: Grid, fixed_to_volume: TransformLike, white: float | None = None
) -> NDArray[np.float32]:
    """Interpolate a volume on a grid of the fixed world: 0 to 1, 1 at the intensity `white`, that of `bright`."""
    values = resample_through(volume.array, volume.grid, grid, as_transform(fixed_to_volume))
    top = bright(volume) if white is None else white
    return np.clip(np.nan_to_num(values, copy=False) / top, 0, 1).astype(np.float32)


def bright(volume: Volume) -> float:
    """Return the intensity that is drawn white: an upper percentile."""
    return max(float(np.percentile(volume.array[::2, ::2, ::2], 99.5)), 1e-6)


def describe_tiles(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    outlines: Outlines,
    spacing_mm: float,
    *,
    with_before: bool = False,
) -> dict[str, Any]:
    """Return what a page needs to show the slices of a pair, as JSON.

    `fixed` and `moved` are pictures, `fixed_codes` and `moved_codes` the outlined regions as pictures without loss; the
    slices lie below each other in each of them, at the left border. `slices` says of each one its place. `before` is
    the moving image as the headers place it, if it is asked for.
    """
    slices = choose_slices(fixed, outlines[0] if outlines else None, spacing_mm)
    identity, transform = Affine(np.eye(4)), as_transform(fixed_to_moving)
    shown: dict[str, Any] = {
        "spacing_mm": spacing_mm,
        "contour": "brain" if outlines else "head",
        "slices": [_describe(one) for one in slices],
    }
    for name, volume, how, k in (("fixed", fixed, identity, 0), ("moved", moving, transform, 1)):
        white = bright(volume)
        values = [sample(volume, one.grid, how, white) for one in slices]
        outline = outlines[k] if outlines else None
        codes = [codes_on(one.grid, plane, outline, how) for one, plane in zip(slices, values, strict=True)]
        shown[name] = picture(_stack([(255 * plane[0]).astype(np.uint8) for plane in values]))
        shown[f"{name}_codes"] = picture(_stack([16 * plane[0] for plane in codes]), exact=True)
    if with_before:
        before = [(255 * sample(moving, one.grid, identity)[0]).astype(np.uint8) for one in slices]
        shown["before"] = picture(_stack(before))
    return shown


def _describe(one: Slice) -> dict[str, Any]:
    return {
        "plane": one.plane,
        "size": one.grid.size[:2],
        "origin": [round(float(v), 2) for v in one.grid.origin],
        "number": one.number,
    }


def _stack(planes: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    width = max(plane.shape[1] for plane in planes)
    return np.concatenate([np.pad(plane, ((0, 0), (0, width - plane.shape[1]))) for plane in planes])


def picture(pixels: NDArray[np.uint8], *, exact: bool = False, quality: int = QUALITY) -> str:
    """Return a picture as an address that holds it."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "WEBP", quality=quality, method=1 if exact else 3, lossless=exact)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
