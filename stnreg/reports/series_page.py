"""The page of a series: one file that flickers through the visits, works offline, and shows what changed in colour."""

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.registration.series.result import SeriesResult
from stnreg.reports.assets import asset, filled, script_json
from stnreg.reports.series import change_rows, visit_rows
from stnreg.resampling.resample import resample

VOXELS = 170  # along the longest side
QUALITY = 75
ROUNDING = 1e-6
TEMPLATE = "template"
FACE = {
    "visit": "visit",
    "status": "status",
    "score": "score",
    "local_correlation": "local correlation",
    "disagreement_mm": "disagreement of pairs, mm",
    "motion_mm": "motion, mm",
    "volume_factor": "volume factor",
    "intensity_factor": "intensity factor",
    "reason": "why it is left out",
}
CHANGES = {
    "from": "from",
    "to": "to",
    "region": "region",
    "template_ml": "ml",
    "change_percent": "change, %",
    "error_percent": "standard error, %",
    "scale": "scale from",
}


def write_series_page(
    path: str | PathLike[str],
    result: SeriesResult,
    shown: Mapping[str, NDArray[np.float32]],
    maps: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    title: str = "series",
    limit: float = 0.1,
) -> None:
    """Write the page of a series.

    Parameters
    ----------
    path : path
        Written atomically; about 0.7 MB a visit.
    result : SeriesResult
        With a template.
    shown : mapping of str to (z, y, x) float32
        Each visit on the grid of the template.
    maps : mapping of str to (z, y, x) float32, optional
        The logarithm of the volume change at each visit, on the same grid.
    title : str
    limit : float
        Logarithm of the volume change that has the full colour.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    assert result.template is not None
    full = result.template.grid
    grid = _box(full)
    tiles = math.ceil(math.sqrt(grid.size[2]))
    top = _white(result.template.array)
    volumes = {TEMPLATE: _picture(_sampled(result.template.array, full, grid) / top, tiles)}
    gains = {visit.name: visit.gain or 1.0 for visit in result.kept}
    volumes |= {
        name: _picture(_sampled(image, full, grid) * np.float32(gains[name] / top), tiles)
        for name, image in shown.items()
    }
    overlays = {
        name: _picture(_sampled(one, full, grid) * np.float32(0.5 / limit) + np.float32(0.5), tiles, exact=True)
        for name, one in (maps or {}).items()
    }
    place = np.clip(np.rint(apply_affine(grid.lps_to_index, result.center_lps)), 0, np.array(grid.size) - 1)
    data: dict[str, Any] = {"size": grid.size, "tiles": tiles, "place": place.astype(int).tolist()}
    data |= {"volumes": volumes, "overlays": overlays, "names": [*shown, TEMPLATE], "limit": limit}
    lines = [
        f"{len(result.kept)} of {len(result.visits)} visits, {result.options.dof} degrees of freedom, "
        f"{result.options.average} template of {full.spacing[0]:.3g} mm, "
        f"reference: {html.escape(str(result.options.reference))}",
    ]
    told = [*(warning for visit in result.visits for warning in visit.warnings), *result.warnings]
    page = filled(
        "series.html",
        title=html.escape(title),
        lines="\n".join(
            (
                *(f"<p>{line}</p>" for line in lines),
                *(f'<p class="not-judged">warning: {html.escape(warning)}</p>' for warning in told),
            )
        ),
        style=asset("style.css"),
        buttons="\n  ".join(
            f'<button data-show="{html.escape(name, quote=True)}" aria-pressed="false">{html.escape(name)}</button>'
            for name in (*shown, TEMPLATE)
        ),
        change="" if not overlays else '<button id="change" aria-pressed="false" title="c">volume change</button>',
        legend="hidden" if not overlays else "",
        limit=f"{100 * (math.exp(limit) - 1):.0f}",
        table=_table(FACE, visit_rows(result)) + _table(CHANGES, change_rows(result)),
        data=script_json(data),
        script=asset("picture.js") + asset("series.js"),
    )
    write_atomic(path, page.encode())


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as HTML; nothing if there are none."""
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in columns.values())
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_short(row.get(column)))}</td>" for column in columns) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _short(value: Any) -> str:
    """Return a value with four digits; what is rounding alone is 0."""
    if isinstance(value, float):
        return "0" if abs(value) < ROUNDING else f"{value:.4g}"
    return "" if value is None else str(value)


def _box(full: Grid) -> Grid:
    """Return a grid of isotropic voxels along L, P, S over the template."""
    corners = full.corners_lps()
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = float((high - low).max()) / VOXELS
    size = np.maximum(np.floor((high - low) / spacing + 0.5), 2).astype(int)
    return Grid.from_parts(size, (spacing,) * 3, low + spacing / 2)


def _sampled(array: NDArray[Any], full: Grid, grid: Grid) -> NDArray[np.float32]:
    return resample(array, full, grid, np.eye(4), "linear")


def _white(array: NDArray[Any]) -> float:
    return max(float(np.percentile(array[::2, ::2, ::2], 99.5)), 1e-6)


def _picture(values: NDArray[np.float32], tiles: int, *, exact: bool = False) -> str:
    """Lay axial slices of values from 0 to 1 side by side, so many a row, as the address of a picture."""
    from PIL import Image

    voxels = (255 * np.clip(values, 0, 1) + 0.5).astype(np.uint8)
    depth, height, width = voxels.shape
    sheet = np.zeros((math.ceil(depth / tiles) * tiles, height, width), np.uint8)
    sheet[:depth] = voxels
    sheet = sheet.reshape(-1, tiles, height, width).swapaxes(1, 2).reshape(-1, tiles * width)
    packed = io.BytesIO()
    Image.fromarray(sheet).save(packed, "WEBP", quality=QUALITY, method=2, lossless=exact)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
