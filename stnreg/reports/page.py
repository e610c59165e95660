"""HTML pages of results: one of a pair, to flicker and scroll; one of a study, worst pairs first.

Each is one file and works offline; its content security policy forbids requests.
"""

import base64
import html
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.deformation import LIMIT, LINES_MM, shown_log_jacobian
from stnreg.reports.figure import bright, draw_sheet, middle_of_head
from stnreg.resampling.apply import TransformLike, as_transform
from stnreg.resampling.resample import resample
from stnreg.resampling.warp import resample_through
from stnreg.transforms.displacement import DisplacementField

VOXELS = 160  # along the longest side of what can be scrolled through
WARP_STEP = 2  # of those voxels, from one displacement to the next
QUALITY = 75
STILL = "Three planes of the fixed image with the edges of the moving one, before and after"
STILL_OF_WARP = ", with the grid that the deformation bends, and with the logarithm of its Jacobian determinant"
INLINE_BYTES = 26_000_000  # of pictures inside a study's page; what comes after is linked to
FIGURES = (
    *("score", "reasons", "same_person", "local_correlation", "overlap", "warnings", "fixed", "moving", "dof"),
    *("translation_x_mm", "translation_y_mm", "translation_z_mm"),
    *("rotation_x_deg", "rotation_y_deg", "rotation_z_deg", "scale_x", "scale_y", "scale_z"),
    *("log_jacobian_sd", "folds", "total_s"),
)
WORST_FIRST = ("lost", "error", "failed", "not judged", "passed")


def write_qc_html(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    warp: DisplacementField | None = None,
) -> None:
    """Write a page that alternates between the images, before and after, and scrolls through three planes.

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

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    grid = _box(fixed)
    tiles = math.ceil(math.sqrt(grid.size[2]))
    place = np.clip(np.rint(apply_affine(grid.lps_to_index, middle_of_head(fixed))), 0, np.array(grid.size) - 1)
    volumes = {
        name: _mosaic(image, grid, transform, tiles)
        for name, image, transform in (
            ("fixed", fixed, np.eye(4)),
            ("before", moving, np.eye(4)),
            ("after", moving, fixed_to_moving),
        )
    }
    still = io.BytesIO()
    draw_sheet(fixed, moving, fixed_to_moving, title_lines, warp=warp).save(still, "WEBP", quality=85)
    data = {"size": grid.size, "tiles": tiles, "place": place.astype(int).tolist(), "volumes": volumes}
    if warp is not None:
        data |= {"spacing": float(grid.spacing[0]), "origin": grid.origin.tolist(), "warp": _layers(warp, grid)}
    page = _filled(
        "pair.html",
        title=html.escape(title_lines[0] if title_lines else "registration"),
        lines="\n".join(f"<p>{html.escape(line)}</p>" for line in title_lines[1:]),
        style=_asset("style.css"),
        overlays=_asset("overlays.html") if warp is not None else "",
        overlay_keys=" g the grid, j the Jacobian," if warp is not None else "",
        still=_data_uri(still.getvalue()),
        still_says=STILL + (STILL_OF_WARP if warp is not None else ""),
        data=json.dumps(data),
        script=_asset("pair.js") + (_asset("overlays.js") if warp is not None else ""),
    )
    write_atomic(path, page.encode())


def write_study_page(path: Path, rows: Sequence[Mapping[str, Any]], files_of: Mapping[str, Mapping[str, Path]]) -> None:
    """Write one page of all pairs of a study, worst first.

    Parameters
    ----------
    path : Path
        Images are embedded up to about 26 MB. Further ones are linked, relative to its folder.
    rows : sequence of mappings
        Rows of the table of results, typed or as text.
    files_of : mapping
        The files of each pair, by id and name. `thumbnail` is shown; the other files that exist are linked.

    Raises
    ------
    DataError
        If the page cannot be written.
    """
    ordered = sorted(rows, key=_badness)
    counts = Counter(str(row["status"]) for row in rows)
    filters = "\n  ".join(
        f'<button data-filter="{html.escape(status)}" aria-pressed="true">'
        f'<span class="{_css(status)}">{html.escape(status)}</span> {counts[status]}</button>'
        for status in WORST_FIRST
        if counts[status]
    )
    page = _filled(
        "study.html",
        title=html.escape(f"{len(rows)} registrations in {path.absolute().parent.name}"),
        style=_asset("style.css"),
        filters=filters,
        cards="\n".join(_cards(ordered, files_of, path.parent)),
        script=_asset("study.js"),
    )
    write_atomic(path, page.encode())


def _cards(
    rows: Sequence[Mapping[str, Any]], files_of: Mapping[str, Mapping[str, Path]], folder: Path
) -> Iterable[str]:
    room = INLINE_BYTES
    for row in rows:
        own = {name: path for name, path in files_of.get(str(row["id"]), {}).items() if path.is_file()}
        thumbnail = own.pop("thumbnail", None)
        picture = ""
        if thumbnail is not None:
            source = _data_uri(thumbnail.read_bytes()) if room > 0 else _link(thumbnail, folder)
            room -= len(source)
            picture = f'<img loading="lazy" alt="" src="{source}">'
        yield _card(row, picture, {name: _link(file, folder) for name, file in own.items()})


def _card(row: Mapping[str, Any], picture: str, links: Mapping[str, str]) -> str:
    name, status, score = html.escape(str(row["id"])), str(row["status"]), _number(row.get("score"))
    told = "".join(
        f"<tr><th>{name}</th><td>{html.escape(_short(row[name]))}</td></tr>"
        for name in FIGURES
        if row.get(name) not in (None, "")
    )
    reasons = "" if status in ("passed", "not judged") else html.escape(str(row.get("reasons") or ""))
    anchors = " ".join(f'<a href="{html.escape(href)}">{html.escape(what)}</a>' for what, href in links.items())
    return (
        f'<div class="card" tabindex="0" data-id="{name}" data-status="{html.escape(status)}">{picture}'
        f'<div><span class="name">{name}</span> <span class="{_css(status)}">{html.escape(status)}</span>'
        f"{'' if score is None else f' {score:.2f}'}</div>"
        f'<div class="why">{reasons}</div>'
        f'<div class="told"><table>{told}</table><p>{anchors}</p></div></div>'
    )


def _badness(row: Mapping[str, Any]) -> tuple[int, float, str]:
    status, score = str(row["status"]), _number(row.get("score"))
    rank = WORST_FIRST.index(status) if status in WORST_FIRST else 0
    return rank, -1.0 if score is None else score, str(row["id"])


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, float | str) else None
    except ValueError:
        return None


def _short(value: Any) -> str:
    number = None if isinstance(value, bool | int) else _number(value)
    return str(value) if number is None else f"{number:.4g}"


def _css(status: str) -> str:
    return status.replace(" ", "-")


def _link(file: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(file, folder)).as_posix())


def _box(fixed: Volume) -> Grid:
    """Return a grid of isotropic voxels along L, P, S over the fixed image."""
    corners = fixed.grid.corners_lps()
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = float((high - low).max()) / VOXELS
    size = np.maximum(np.ceil((high - low) / spacing), 2).astype(int)
    return Grid.from_parts(size, (spacing,) * 3, low)


def _mosaic(volume: Volume, grid: Grid, fixed_to_volume: TransformLike, tiles: int) -> str:
    """Sample a volume and lay its axial slices side by side, as the address of a picture."""
    values = resample_through(volume.array, volume.grid, grid, as_transform(fixed_to_volume))
    return _picture((255 * np.clip(values / bright(volume), 0, 1)).astype(np.uint8), tiles)


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
        "vectors": _picture(np.rint(np.moveaxis(vectors, 0, -1) / unit + 128).astype(np.uint8), tiles, exact=True),
        "jacobian": _picture(np.rint(strain + 128).astype(np.uint8), tiles, exact=True),
    }


def _picture(voxels: NDArray[np.uint8], tiles: int, *, exact: bool = False) -> str:
    """Lay axial slices (z, y, x) or (z, y, x, 3) side by side, so many a row, as the address of a picture."""
    from PIL import Image

    depth, height, width, *channels = voxels.shape
    sheet = np.zeros((math.ceil(depth / tiles) * tiles, height, width, *channels), np.uint8)
    sheet[:depth] = voxels
    sheet = sheet.reshape(-1, tiles, height, width, *channels).swapaxes(1, 2).reshape(-1, tiles * width, *channels)
    packed = io.BytesIO()
    Image.fromarray(sheet).save(packed, "WEBP", quality=QUALITY, method=3, lossless=exact)
    return _data_uri(packed.getvalue())


def _data_uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _asset(name: str) -> str:
    return (files("stnreg.reports") / "assets" / name).read_text(encoding="utf-8")


def _filled(name: str, **values: str) -> str:
    """Replace `{{name}}` in a template by values, which are not expanded again."""
    parts = _asset(name).split("{{")
    filled = [parts[0]]
    for part in parts[1:]:
        key, _, rest = part.partition("}}")
        filled += [values[key], rest]
    return "".join(filled)
