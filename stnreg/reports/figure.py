"""The figure of a registration: three planes of the fixed image with the edges of the moving one, before and after."""

import io
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.resampling.trilinear import interpolate

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300  # longest side of the fixed head
THUMBNAIL_PX = 150
MARGIN_PX = 12
LINE_PX = 18
EDGE_RGB = (255, 140, 0)
# Name of the plane, its LPS axes to the right and down, the letters at its left and right border.
PLANES = (("sagittal", 1, 2, "A", "P"), ("coronal", 0, 2, "R", "L"), ("axial", 0, 1, "R", "L"))


def write_qc_png(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: NDArray[np.float64],
    title_lines: Sequence[str] = (),
) -> None:
    """Draw the fixed image with the edges of the moving one, before (headers only) and after registration.

    Planes are those of the LPS axes through the centre of the fixed head, in the radiological convention: the patient's
    right is on the left.

    Parameters
    ----------
    path : path
        A PNG, written atomically.
    fixed, moving : Volume
    fixed_to_moving : (4, 4) float64
        Fixed LPS points to moving LPS points, mm.
    title_lines : sequence of str
        Lines of text above the planes.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    png = io.BytesIO()
    draw_sheet(fixed, moving, fixed_to_moving, title_lines).save(png, "PNG")
    write_atomic(path, png.getvalue())


def write_thumbnail(
    path: str | PathLike[str], fixed: Volume, moving: Volume, fixed_to_moving: NDArray[np.float64]
) -> None:
    """Draw a small figure without text, as WebP of about 20 kB. Arguments and errors as `write_qc_png`."""
    webp = io.BytesIO()
    sheet = draw_sheet(fixed, moving, fixed_to_moving, panel_px=THUMBNAIL_PX, words=False)
    sheet.save(webp, "WEBP", quality=65)
    write_atomic(path, webp.getvalue())


def draw_sheet(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: NDArray[np.float64],
    title_lines: Sequence[str] = (),
    *,
    panel_px: int = PANEL_PX,
    words: bool = True,
) -> "Image.Image":
    """Draw both rows of planes, with titles and letters."""
    from PIL import Image, ImageDraw, ImageFont

    grids = plane_grids(fixed, panel_px)
    line, margin = (LINE_PX, MARGIN_PX) if words else (0, 3)
    rows = [(name, draw_planes(fixed, moving, t, grids)) for name, t in _stages(fixed_to_moving)]
    width = max(sum(p.shape[1] + margin for p in planes) for _, planes in rows) + margin
    tall = [max(p.shape[0] for p in planes) + line + margin for _, planes in rows]
    sheet = Image.new("RGB", (width, margin + line * len(title_lines) + sum(tall)))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    y = margin // 2
    for text in title_lines:
        draw.text((margin, y), text, fill="white", font=font)
        y += line
    for (name, planes), height in zip(rows, tall, strict=True):
        x = margin
        for plane, (_, _, _, left, right) in zip(planes, PLANES, strict=True):
            sheet.paste(Image.fromarray(plane), (x, y + line))
            if words:
                draw.text((x + 3, y + line), left, fill="gray", font=font)
                draw.text((x + plane.shape[1] - 12, y + line), right, fill="gray", font=font)
            x += plane.shape[1] + margin
        if words:
            draw.text((margin, y), name, fill=EDGE_RGB, font=font)
        y += height
    return sheet


def plane_grids(fixed: Volume, panel_px: int = PANEL_PX) -> list[Grid]:
    """Return a flat grid per plane through the centre of the fixed head: square pixels, one voxel thick.

    Parameters
    ----------
    fixed : Volume
    panel_px : int
        Pixels of the longest side.

    Returns
    -------
    grids : list of 3 Grid
        Index x runs across the picture, y down it; z is the plane's normal, one voxel.
    """
    corners = fixed.grid.corners_lps()
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = (high - low).max() / panel_px
    middle = middle_of_head(fixed)
    grids = []
    for _, across, down, _, _ in PLANES:
        normal = 3 - across - down
        index_to_lps = np.zeros((4, 4))
        index_to_lps[3, 3] = 1
        # S decreases along the y axis of the figure, so that the head is up.
        index_to_lps[across, 0] = spacing
        index_to_lps[down, 1] = -spacing if down == 2 else spacing
        index_to_lps[normal, 2] = spacing
        index_to_lps[:3, 3] = low
        index_to_lps[down, 3] = high[2] if down == 2 else low[down]
        index_to_lps[normal, 3] = middle[normal]
        size = [round((high[axis] - low[axis]) / spacing) for axis in (across, down)]
        grids.append(Grid((size[0], size[1], 1), index_to_lps))
    return grids


def draw_planes(
    fixed: Volume, moving: Volume, fixed_to_moving: NDArray[np.float64], grids: Sequence[Grid]
) -> list[NDArray[np.uint8]]:
    """Sample both images on each plane: the fixed one in grey, the edges of the moved one in colour.

    Returns
    -------
    planes : list of (rows, columns, 3) uint8
    """
    drawn = []
    tops = [bright(volume) for volume in (fixed, moving)]
    for grid in grids:
        grey = sample_plane(fixed, grid, np.eye(4)) / tops[0]
        moved = sample_plane(moving, grid, fixed_to_moving) / tops[1]
        plane = np.repeat((255 * np.clip(grey, 0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)
        plane[_edges(np.clip(moved, 0, 1), grid.spacing[0])] = EDGE_RGB
        drawn.append(plane)
    return drawn


def sample_plane(volume: Volume, grid: Grid, fixed_to_volume: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate a volume on a flat grid in fixed space; (rows, columns), 0 outside."""
    to_index = volume.grid.lps_to_index @ fixed_to_volume @ grid.index_to_lps
    rows, columns = np.indices(grid.shape[1:], np.float32)
    index = to_index[:3, 0, None] * columns.ravel() + to_index[:3, 1, None] * rows.ravel() + to_index[:3, 3, None]
    found = interpolate(np.ascontiguousarray(volume.array), index.astype(np.float32))
    return np.nan_to_num(found, copy=False).reshape(grid.shape[1:])


def bright(volume: Volume) -> float:
    """Return the intensity that is drawn white: an upper percentile."""
    return max(float(np.percentile(volume.array[::2, ::2, ::2], 99.5)), 1e-6)


def _edges(plane: NDArray[np.floating], spacing_mm: float) -> NDArray[np.bool_]:
    """Canny edges of a plane, smoothed by at least 1.5 mm."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(plane.astype(np.float32))
    variance = max(1.5 / spacing_mm, 1.7) ** 2
    edges = sitk.CannyEdgeDetection(image, lowerThreshold=0.02, upperThreshold=0.06, variance=[variance] * 2)
    return sitk.GetArrayFromImage(edges) > 0


def middle_of_head(volume: Volume) -> NDArray[np.float64]:
    """Centre of the voxels above a fifth of the bright intensity, LPS mm."""
    array = volume.array[::2, ::2, ::2]
    bright = np.argwhere(array > 0.2 * np.percentile(array, 99))
    if len(bright) == 0:
        return volume.grid.center_lps
    return apply_affine(volume.grid.index_to_lps, 2 * bright.mean(axis=0)[::-1])


def _stages(fixed_to_moving: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    return [("before: where the headers put it", np.eye(4)), ("after", np.asarray(fixed_to_moving))]
