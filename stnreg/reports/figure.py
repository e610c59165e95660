"""The picture of a registration: slices of the fixed image, with the moving one's edges before and after.

With a deformation come two rows more: the grid it bends, and how it changes volume.
"""

import io
import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.deformation import JACOBIAN, draw_deformation, draw_legend
from stnreg.reports.outlines import BRAIN, Outline, brain_box, codes_on
from stnreg.reports.tiles import MARGIN_MM, PLANES, SHARES, Outlines, Slice, choose_slices, place_of, sample
from stnreg.resampling.apply import TransformLike
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300  # longest side of the fixed brain
MARGIN_PX = 12
LINE_PX = 18
EDGE_RGB, FIXED_RGB = (255, 140, 0), (70, 200, 255)
WEAK, STRONG = 0.015, 0.04
"""Least slope of an edge, per pixel: of all its points, and of one."""
BEFORE, AFTER = "before: where the headers put it", "after"
Rows = list[tuple[str, list[Slice], list[NDArray[np.uint8]]]]


def write_qc_png(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
    outlines: Outlines = None,
) -> None:
    """Draw the fixed image with the edges of the moving one, before (headers only) and after registration.

    Planes are those of the LPS axes through the fixed brain, one of each before and three after, in the radiological
    convention: the patient's right is on the left.

    Parameters
    ----------
    path : path
        A PNG, written atomically.
    fixed, moving : Volume
    fixed_to_moving : Transform, or (4, 4) float64
        Fixed LPS points to moving LPS points, mm: all of it, with a deformation.
    title_lines : sequence of str
        Lines of text above the planes; long ones are broken.
    warp : DisplacementField, optional
        The deformation without the affine, on the fixed grid, for two rows more: a grid of straight lines in the
        moving image, brought back by the affine, as the warp carries it to the fixed one; and the logarithm of the
        Jacobian determinant in colour.
    outlines : (Outline, Outline), optional
        Of fixed and moving: the brain to crop by, and to outline in the fixed image.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    png = io.BytesIO()
    draw_sheet(fixed, moving, fixed_to_moving, title_lines, warp=warp, outlines=outlines).save(png, "PNG")
    write_atomic(path, png.getvalue())


def draw_sheet(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
    outlines: Outlines = None,
    panel_px: int = PANEL_PX,
) -> "Image.Image":
    """Lay out the rows of planes, with what is to be read above and beside them."""
    from PIL import Image, ImageDraw, ImageFont

    rows = _rows(fixed, moving, fixed_to_moving, warp, outlines, panel_px)
    width = max(sum(plane.shape[1] + MARGIN_PX for plane in planes) for _, _, planes in rows) + MARGIN_PX
    font = ImageFont.load_default(13)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    text = [part for line in title_lines for part in _broken(line, width - 2 * MARGIN_PX, measure, font)]
    tall = [max(plane.shape[0] for plane in planes) + 2 * LINE_PX + MARGIN_PX for _, _, planes in rows]
    sheet = Image.new("RGB", (width, MARGIN_PX + LINE_PX * len(text) + sum(tall)))
    draw, y = ImageDraw.Draw(sheet), MARGIN_PX // 2
    for line in text:
        draw.text((MARGIN_PX, y), line, fill="white", font=font)
        y += LINE_PX
    for (name, slices, planes), height in zip(rows, tall, strict=True):
        x = MARGIN_PX
        for plane, one in zip(planes, slices, strict=True):
            sheet.paste(Image.fromarray(plane), (x, y + LINE_PX))
            _write_letters(draw, one, plane, x, y + LINE_PX, font)
            x += plane.shape[1] + MARGIN_PX
        draw.text((MARGIN_PX, y), name, fill=EDGE_RGB, font=font)
        if name == JACOBIAN:
            draw_legend(sheet, MARGIN_PX + math.ceil(draw.textlength(name, font=font)), x - MARGIN_PX, y, font)
        y += height
    return sheet


def _rows(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    warp: DisplacementField | None,
    outlines: Outlines,
    panel_px: int,
) -> Rows:
    outline = outlines[0] if outlines else None
    every = slices_of(fixed, panel_px, outline, SHARES)
    by_share = [every[k :: len(SHARES)] for k in range(len(SHARES))]
    middle = by_share[len(SHARES) // 2]
    rows: Rows = [(BEFORE, middle, draw_planes(fixed, moving, np.eye(4), _grids(middle), outline))]
    for k, slices in enumerate(by_share):
        planes = draw_planes(fixed, moving, fixed_to_moving, _grids(slices), outline)
        rows.append(("" if k else AFTER, slices, planes))
    if warp is not None:
        greys = _grey_planes(fixed, _grids(middle))
        rows += [(name, middle, planes) for name, planes in draw_deformation(greys, warp, _grids(middle))]
    return rows


def slices_of(
    fixed: Volume, panel_px: int = PANEL_PX, outline: Outline | None = None, shares: tuple[float, ...] = (0.5,)
) -> list[Slice]:
    """Return slices through the fixed brain, plane by plane, at a size in pixels; see `choose_slices`."""
    low, high = brain_box(fixed, outline, MARGIN_MM)
    return choose_slices(fixed, outline, float((high - low).max()) / panel_px, shares)


def plane_grids(fixed: Volume, panel_px: int = PANEL_PX, outline: Outline | None = None) -> list[Grid]:
    """Return a flat grid per plane through the middle of the fixed brain: square pixels, one voxel thick.

    Parameters
    ----------
    fixed : Volume
    panel_px : int
        Pixels of the longest side.
    outline : Outline or None
        Of `fixed`.

    Returns
    -------
    grids : list of 3 Grid
        Index x runs across the picture, y down it; z is the plane's normal, one voxel.
    """
    return _grids(slices_of(fixed, panel_px, outline))


def _grids(slices: Sequence[Slice]) -> list[Grid]:
    return [one.grid for one in slices]


def draw_planes(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    grids: Sequence[Grid],
    outline: Outline | None = None,
) -> list[NDArray[np.uint8]]:
    """Sample both images on each plane: the fixed one in grey, the edges of the moved one in colour.

    The outline of the fixed brain, if it is known, has a second colour.

    Returns
    -------
    planes : list of (rows, columns, 3) uint8
    """
    planes = _grey_planes(fixed, grids)
    for plane, grid in zip(planes, grids, strict=True):
        if outline is not None:
            grey = plane[None, :, :, 0] / np.float32(255)
            plane[_border(codes_on(grid, grey, outline, Affine(np.eye(4)))[0] >= BRAIN)] = FIXED_RGB
        plane[_edges(sample(moving, grid, fixed_to_moving)[0], grid.spacing[0])] = EDGE_RGB
    return planes


def _grey_planes(fixed: Volume, grids: Sequence[Grid]) -> list[NDArray[np.uint8]]:
    """Sample the fixed image on each plane: (rows, columns, 3), grey."""
    greys = [sample(fixed, grid, np.eye(4))[0] for grid in grids]
    return [np.repeat((255 * grey).astype(np.uint8)[:, :, None], 3, axis=2) for grey in greys]


def _border(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose neighbour to the right or below is on the other side."""
    border = np.zeros_like(inside)
    border[:-1] |= inside[:-1] != inside[1:]
    border[:, :-1] |= inside[:, :-1] != inside[:, 1:]
    return border


def _edges(plane: NDArray[np.floating], spacing_mm: float) -> NDArray[np.bool_]:
    """Canny edges of a plane, smoothed by at least 1.5 mm."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(plane.astype(np.float32), max(1.5 / spacing_mm, 1.7))
    slope = np.stack(np.gradient(smooth))
    steep = np.sqrt(np.square(slope).sum(axis=0))
    # The steepest point along the gradient, of the three that are a pixel apart.
    step, place = slope / np.maximum(steep, 1e-6), np.indices(plane.shape, np.float32)
    ahead, behind = (ndimage.map_coordinates(steep, place + side * step, order=1, mode="nearest") for side in (1, -1))
    edges = (steep >= ahead) & (steep > behind) & (steep > WEAK)
    parts, count = ndimage.label(edges, np.ones((3, 3)))
    return edges & (ndimage.maximum(steep, parts, np.arange(count + 1)) > STRONG)[parts]


def _write_letters(draw: Any, one: Slice, plane: NDArray[np.uint8], x: int, y: int, font: Any) -> None:
    """Write the letters of the four sides into a slice, and its place below it."""
    height, width = plane.shape[:2]
    _, _, _, left, right, top, bottom = PLANES[one.plane]
    places = (
        (left, x + 3, y + height // 2, "lm"),
        (right, x + width - 3, y + height // 2, "rm"),
        (top, x + width // 2, y + 3, "mt"),
        (bottom, x + width // 2, y + height - 3, "mb"),
    )
    for letter, across, down, anchor in places:
        draw.text((across, down), letter, "silver", font, anchor, stroke_width=2, stroke_fill="black")
    said = f"{place_of(one)}, slice {one.number}"
    draw.text((x + width // 2, y + height + 2), said, "silver", font, "mt")


def _broken(line: str, width: int, draw: Any, font: Any) -> list[str]:
    """Break a line of text at blanks, so that each part fits; a longer word is broken where it must be."""
    parts, current = [], ""
    for word in line.split(" "):
        longer = f"{current} {word}" if current else word
        if draw.textlength(longer, font=font) <= width:
            current = longer
            continue
        if current:
            parts.append(current)
        while draw.textlength(word, font=font) > width:
            fits = max(next(n for n in range(len(word), 0, -1) if draw.textlength(word[:n], font=font) <= width), 1)
            parts.append(word[:fits])
            word = word[fits:]
        current = word
    return [*parts, current]
