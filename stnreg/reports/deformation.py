"""A deformation to look at: the grid that it bends, and in colour how much it shrinks and grows."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import Grid
from stnreg.resampling.trilinear import interpolate
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import moved, voxel_points

if TYPE_CHECKING:
    from PIL import Image

LINES_MM = 8.0
LINE_RGB = (90, 220, 255)
LINE_OPACITY = 0.65
SHRINK_RGB, GROW_RGB = (40, 90, 255), (255, 50, 40)
LIMIT = math.log(2)
"""Of log J: half and twice the volume have the full colours."""
OPACITY = 0.8
BAR_PX = 160, 10
LEAST_BAR_PX = 30  # a shorter one says nothing
GAP_PX = 6
GRID = f"deformation: a grid of {LINES_MM:g} mm in the moving image, on the fixed one"
JACOBIAN = "log J: blue where the moving image is smaller, red where it is larger"
Planes = list[NDArray[np.uint8]]


def draw_deformation(greys: Planes, warp: DisplacementField, grids: Sequence[Grid]) -> list[tuple[str, Planes]]:
    """Draw a warp over planes of the fixed image.

    Parameters
    ----------
    greys : list of (rows, columns, 3) uint8
        The fixed image on `grids`; not changed.
    warp : DisplacementField
        Without the affine, LPS mm.
    grids : sequence of Grid
        One voxel thick, along the LPS axes.

    Returns
    -------
    rows : list of (str, planes)
        The grid and the Jacobian, each with its name.
    """
    strain = shown_log_jacobian(warp)
    return [
        (GRID, [blend(grey, LINE_RGB, lines(warp, grid)) for grey, grid in zip(greys, grids, strict=True)]),
        (JACOBIAN, [tint(grey, _on_plane(strain, warp.grid, grid)) for grey, grid in zip(greys, grids, strict=True)]),
    ]


def lines(warp: DisplacementField, grid: Grid) -> NDArray[np.float64]:
    """Return how much of the colour of lines each pixel of a plane (rows, columns) has, 0 to 1.

    The lines run every `LINES_MM` along both axes of the plane in the moving image, brought back by the affine.
    """
    points = warp.map_voxels(grid)[:, 0]
    covered = np.zeros(points.shape[1:])
    across, down = (int(np.argmax(np.abs(grid.index_to_lps[:3, axis]))) for axis in (0, 1))
    for axis in (across, down):
        place = points[axis]
        slope = np.hypot(*np.gradient(place))  # mm from pixel to pixel
        distance = np.abs(place - LINES_MM * np.round(place / LINES_MM)) / np.maximum(slope, 1e-6)
        np.maximum(covered, LINE_OPACITY * np.clip(1.2 - distance, 0, 1), out=covered)
    return covered


def shown_log_jacobian(warp: DisplacementField) -> NDArray[np.float32]:
    """Return log J (z, y, x) within the limits of the colours; where the map folds, the lower one."""
    return np.clip(np.nan_to_num(warp.log_jacobian(), nan=-LIMIT), -LIMIT, LIMIT)


def blend(plane: NDArray[np.uint8], colour: Sequence[int], share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lay a colour, or one for each pixel, over a picture by shares (rows, columns) of 0 to 1."""
    opacity = share[..., None]
    return ((1 - opacity) * plane + opacity * np.asarray(colour)).astype(np.uint8)


def tint(plane: NDArray[np.uint8], strain: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour a picture (rows, columns, 3) by log J (rows, columns)."""
    colour = np.where((strain < 0)[..., None], SHRINK_RGB, GROW_RGB)
    return blend(plane, colour, OPACITY * np.clip(np.abs(strain) / LIMIT, 0, 1))  # type: ignore[arg-type]


def draw_legend(sheet: "Image.Image", left: int, right: int, top: int, font: Any) -> None:
    """Draw the bar of colours with its numbers between `left` and `right`, in a line of text at `top`.

    It ends at `right`. Where there is little room, the bar is shorter.
    """
    from PIL import Image, ImageDraw

    width, height = BAR_PX
    draw = ImageDraw.Draw(sheet)
    low, high = f"-{LIMIT:.2f} (half)", f"+{LIMIT:.2f} (twice)"
    low_px, high_px = (math.ceil(draw.textlength(text, font=font)) for text in (low, high))
    x = right - high_px
    width = min(width, x - left - low_px - 3 * GAP_PX)
    if width < LEAST_BAR_PX:
        return
    draw.text((x, top), high, fill="white", font=font)
    x -= width + GAP_PX
    bar = tint(np.full((height, width, 3), 128, np.uint8), np.tile(np.linspace(-LIMIT, LIMIT, width), (height, 1)))
    sheet.paste(Image.fromarray(bar), (x, top + 4))
    draw.text((x - GAP_PX - low_px, top), low, fill="white", font=font)


def _on_plane(values: NDArray[np.float32], on: Grid, grid: Grid) -> NDArray[np.float32]:
    """Interpolate values (z, y, x) on a flat grid: (rows, columns), 0 outside."""
    index = moved(on.lps_to_index, voxel_points(grid).reshape(3, -1)).astype(np.float32)
    return np.nan_to_num(interpolate(values, index), copy=False).reshape(grid.shape[1:])
