"""The picture of a registration: three planes of the fixed image, with the moving one's edges before and after.

With a deformation come two rows more: the grid it bends, and how it changes volume.
"""

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
from stnreg.reports.deformation import JACOBIAN, draw_deformation, draw_legend
from stnreg.resampling.apply import TransformLike, as_transform
from stnreg.resampling.trilinear import interpolate
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import moved

if TYPE_CHECKING:
    from PIL import Image

PANEL_PX = 300  # longest side of the fixed head
THUMBNAIL_PX = 150
MARGIN_PX = 12
LINE_PX = 18
EDGE_RGB = (255, 140, 0)
BEFORE, AFTER = "before: where the headers put it", "after"
# Plane name, its LPS axes across (to the right) and down, the letters at its left and right border.
PLANES = (("sagittal", 1, 2, "A", "P"), ("coronal", 0, 2, "R", "L"), ("axial", 0, 1, "R", "L"))


def write_qc_png(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
) -> None:
    """Draw the fixed image with the edges of the moving one, before (headers only) and after registration.

    Planes are those of the LPS axes through the centre of the fixed head, in the radiological convention: the patient's
    right is on the left.

    Parameters
    ----------
    path : path
        A PNG, written atomically.
    fixed, moving : Volume
    fixed_to_moving : Transform, or (4, 4) float64
        Fixed LPS points to moving LPS points, mm: all of it, with a deformation.
    title_lines : sequence of str
        Lines of text above the planes.
    warp : DisplacementField, optional
        The deformation without the affine, on the fixed grid, for two rows more: a grid of straight lines in the
        moving image, brought back by the affine, as the warp carries it to the fixed one; and the logarithm of the
        Jacobian determinant in colour.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    png = io.BytesIO()
    draw_sheet(fixed, moving, fixed_to_moving, title_lines, warp=warp).save(png, "PNG")
    write_atomic(path, png.getvalue())


def write_thumbnail(path: str | PathLike[str], fixed: Volume, moving: Volume, fixed_to_moving: TransformLike) -> None:
    """Draw before and after small and without words, as WebP: some 20 kB. Arguments and errors as `write_qc_png`."""
    webp = io.BytesIO()
    sheet = draw_sheet(fixed, moving, fixed_to_moving, panel_px=THUMBNAIL_PX, words=False)
    sheet.save(webp, "WEBP", quality=65)
    write_atomic(path, webp.getvalue())


def draw_sheet(
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
    panel_px: int = PANEL_PX,
    words: bool = True,
) -> "Image.Image":
    """Lay out the rows of planes, with what is to be read above and beside them."""
    from PIL import Image, ImageDraw, ImageFont

    grids = plane_grids(fixed, panel_px)
    line, margin = (LINE_PX, MARGIN_PX) if words else (0, 3)
    rows = [
        (BEFORE, draw_planes(fixed, moving, np.eye(4), grids)),
        (AFTER, draw_planes(fixed, moving, fixed_to_moving, grids)),
    ]
    if warp is not None:
        rows += draw_deformation(_grey_planes(fixed, grids), warp, grids)
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
            if name == JACOBIAN:
                draw_legend(sheet, x - margin, y, font)
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
    fixed: Volume, moving: Volume, fixed_to_moving: TransformLike, grids: Sequence[Grid]
) -> list[NDArray[np.uint8]]:
    """Sample both images on each plane: the fixed one in grey, the edges of the moved one in colour.

    Returns
    -------
    planes : list of (rows, columns, 3) uint8
    """
    planes, top = _grey_planes(fixed, grids), bright(moving)
    for plane, grid in zip(planes, grids, strict=True):
        values = sample_plane(moving, grid, fixed_to_moving) / top
        plane[_edges(np.clip(values, 0, 1), grid.spacing[0])] = EDGE_RGB
    return planes


def _grey_planes(fixed: Volume, grids: Sequence[Grid]) -> list[NDArray[np.uint8]]:
    """Sample the fixed image on each plane: (rows, columns, 3), grey."""
    top = bright(fixed)
    greys = [np.clip(sample_plane(fixed, grid, np.eye(4)) / top, 0, 1) for grid in grids]
    return [np.repeat((255 * grey).astype(np.uint8)[:, :, None], 3, axis=2) for grey in greys]


def sample_plane(volume: Volume, grid: Grid, fixed_to_volume: TransformLike) -> NDArray[np.float32]:
    """Interpolate a volume on a flat grid of the fixed world; (rows, columns), 0 outside."""
    transform = as_transform(fixed_to_volume)
    if transform.matrix is None:
        index = moved(volume.grid.lps_to_index, transform.map_voxels(grid).reshape(3, -1))
    else:
        to_index = volume.grid.lps_to_index @ transform.matrix @ grid.index_to_lps
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
