"""The HTML page of one pair, on which someone decides: nine slices, and planes to scroll through.

It is one file and works offline; its content security policy forbids requests.
"""

import base64
import html
import io
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.assets import asset, filled, look_bar, script_json
from stnreg.reports.deformation import LIMIT, LINES_MM, shown_log_jacobian
from stnreg.reports.figure import draw_sheet
from stnreg.reports.outlines import brain_box, codes_on
from stnreg.reports.study import decision_key
from stnreg.reports.tiles import Outlines, describe_tiles, picture, sample
from stnreg.resampling.apply import TransformLike, as_transform
from stnreg.resampling.resample import resample
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField

VOXELS = 140  # along the longest side of what can be scrolled through
MARGIN_MM = 25.0  # around the brain, for the scalp
SPACING_MM = 1.0  # of the nine slices
WARP_STEP = 2  # of those voxels, from one displacement to the next
QUALITY = 75
STILL = "Three planes of the fixed image with the outline of the moving one, before and after"
STILL_OF_WARP = ", with the grid that the deformation bends, and with the logarithm of its Jacobian determinant"
BEFORE = '  <button data-show="before" title="b">before</button>\n'
BETWEEN = (
    '  <select id="between" aria-label="Flicker between"><option value="fixed moved">fixed and moving</option>'
    '<option value="fixed before">fixed and before</option><option value="before moved">before and after</option>'
    "</select>\n"
)


def write_qc_html(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
    outlines: Outlines = None,
) -> None:
    """Write a page to compare the images on, before and after, and to decide.

    In print it shows the figure of `write_qc_png`.

    Parameters
    ----------
    path : path
        Written atomically; about 2 MB.
    fixed, moving : Volume
    fixed_to_moving : Transform, or (4, 4) float64
        Fixed LPS points to moving LPS points, mm: all of it, with a deformation.
    title_lines : sequence of str
        The title, and lines below it.
    warp : DisplacementField, optional
        The deformation without the affine, on the fixed grid: the page then also shows the grid that it bends and
        the logarithm of its Jacobian determinant in colour.
    outlines : (Outline, Outline), optional
        Of fixed and moving; the heads alone when left out.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    title = title_lines[0] if title_lines else "registration"
    still = io.BytesIO()
    draw_sheet(fixed, moving, fixed_to_moving, title_lines, warp=warp, outlines=outlines).save(
        still, "WEBP", quality=85
    )
    page = filled(
        "pair.html",
        title=html.escape(title),
        lines="\n".join(f'<p class="{_css(line)}">{html.escape(line)}</p>' for line in title_lines[1:]),
        style=asset("style.css"),
        decide=asset("decide.html"),
        look=look_bar(BEFORE, BETWEEN),
        overlays=asset("overlays.html") if warp is not None else "",
        overlay_keys=" g the grid, j the Jacobian;" if warp is not None else "",
        still=f"data:image/webp;base64,{base64.b64encode(still.getvalue()).decode()}",
        still_says=STILL + (STILL_OF_WARP if warp is not None else ""),
        data=script_json(_data(Path(path), title, fixed, moving, as_transform(fixed_to_moving), warp, outlines)),
        script=asset("picture.js")
        + asset("viewer.js")
        + asset("decide.js")
        + asset("pair.js")
        + (asset("overlays.js") if warp else ""),
    )
    write_atomic(path, page.encode())


def _css(line: str) -> str:
    """Return the class of a line: the colour of the verdict."""
    return {"accepted": "passed", "rejected": "failed"}.get(line.partition(":")[0], "")


def _data(
    path: Path,
    title: str,
    fixed: Volume,
    moving: Volume,
    transform: Transform,
    warp: DisplacementField | None,
    outlines: Outlines,
) -> dict[str, Any]:
    outline_of_fixed, outline_of_moving = outlines or (None, None)
    grid = _box(fixed, outlines)
    tiles = math.ceil(math.sqrt(grid.size[2]))
    middle = brain_box(fixed, outline_of_fixed, 0).mean(axis=0)
    place = np.clip(np.rint(apply_affine(grid.lps_to_index, middle)), 0, np.array(grid.size) - 1)
    identity = Affine(np.eye(4))
    volumes: dict[str, str] = {}
    for name, volume, how in (("fixed", fixed, identity), ("before", moving, identity), ("moved", moving, transform)):
        values = sample(volume, grid, how)
        volumes[name] = _mosaic((255 * values).astype(np.uint8), tiles)
        if name != "before":
            outline = outline_of_fixed if name == "fixed" else outline_of_moving
            volumes[f"{name}_codes"] = _mosaic(16 * codes_on(grid, values, outline, how), tiles, exact=True)
    data = {
        "id": title,
        "key": decision_key(path),
        "size": grid.size,
        "tiles": tiles,
        "place": place.astype(int).tolist(),
        "spacing": float(grid.spacing[0]),
        "origin": grid.origin.tolist(),
        "lps_to_fixed": fixed.grid.lps_to_index[:3].tolist(),
        "volumes": volumes,
        "slices": describe_tiles(fixed, moving, transform, outlines, SPACING_MM, with_before=True),
    }
    return data if warp is None else data | {"warp": _layers(warp, grid)}


def _box(fixed: Volume, outlines: Outlines) -> Grid:
    """Return a grid of isotropic voxels along L, P, S around the brain of the fixed image."""
    low, high = brain_box(fixed, outlines[0] if outlines else None, MARGIN_MM)
    spacing = float((high - low).max()) / VOXELS
    size = np.maximum(np.ceil((high - low) / spacing), 2).astype(int)
    return Grid.from_parts(size, (spacing,) * 3, low)


def _layers(warp: DisplacementField, grid: Grid) -> dict[str, Any]:
    """Pack a warp for the page: displacements at some of the voxels, log J at the same ones, 0 at 128."""
    x, y, z = (max(math.ceil(count / WARP_STEP) + 1, 2) for count in grid.size)
    sparse = Grid((x, y, z), grid.index_to_lps @ np.diag([*[float(WARP_STEP)] * 3, 1.0]))
    tiles = math.ceil(math.sqrt(z))
    vectors = warp.to_displacement(sparse).vectors
    unit = max(float(np.abs(vectors).max()), 1e-3) / 127
    strain = resample(shown_log_jacobian(warp), warp.grid, sparse, np.eye(4)) / LIMIT * 127
    return {
        "size": sparse.size,
        "step": WARP_STEP,
        "tiles": tiles,
        "unit_mm": unit,
        "lines_mm": LINES_MM,
        "limit": LIMIT,
        "vectors": _mosaic(np.rint(np.moveaxis(vectors, 0, -1) / unit + 128).astype(np.uint8), tiles, exact=True),
        "jacobian": _mosaic(np.rint(strain + 128).astype(np.uint8), tiles, exact=True),
    }


def _mosaic(voxels: NDArray[np.uint8], tiles: int, *, exact: bool = False) -> str:
    """Lay axial slices (z, y, x) or (z, y, x, 3) side by side, so many a row, as the address of a picture."""
    depth, height, width, *channels = voxels.shape
    sheet = np.zeros((math.ceil(depth / tiles) * tiles, height, width, *channels), np.uint8)
    sheet[:depth] = voxels
    sheet = sheet.reshape(-1, tiles, height, width, *channels).swapaxes(1, 2).reshape(-1, tiles * width, *channels)
    return picture(sheet, exact=exact, quality=QUALITY)
