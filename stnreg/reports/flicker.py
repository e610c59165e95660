"""The picture that flickers: SVG that needs no script, as reports of the NiPreps show it.

At the left the moving image alternates between before and after registration, at the right the fixed image with the
moved one. The outline of the fixed brain stands still in both.
"""

import hashlib
from collections.abc import Sequence
from html import escape
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.core.files import write_atomic
from stnreg.images.volume import Volume
from stnreg.reports.outlines import BRAIN, Outline, codes_on
from stnreg.reports.tiles import PLANES, Outlines, Slice, bright, choose_slices, picture, place_of, sample
from stnreg.resampling.apply import TransformLike, as_transform
from stnreg.transforms.affine import Affine

SPACING_MM = 1.3
SCALE = 1.4  # from pixels of the slices to units of the picture
GAP, HEAD, LINE = 6, 22, 17
QUALITY = 70
STYLE = """
.stnreg-flicker { background: #000; font: 13px system-ui, sans-serif; max-width: 100%; height: auto; }
.stnreg-flicker text { fill: #ddd; paint-order: stroke; stroke: #000; stroke-width: 2px; }
.stnreg-flicker .faint { fill: #bbb; font-size: 10px; }
.stnreg-flicker .turn { animation: stnreg-turn 2.4s infinite; }
.stnreg-flicker .back { animation: stnreg-turn 2.4s -1.2s infinite; }
.stnreg-flicker:hover .turn, .stnreg-flicker:hover .back { animation-play-state: paused; }
@keyframes stnreg-turn { 0%, 45% { opacity: 1; } 50%, 95% { opacity: 0; } 100% { opacity: 1; } }
@media (prefers-reduced-motion: reduce) {
  .stnreg-flicker .turn, .stnreg-flicker .back { animation: none; } .stnreg-flicker .back { opacity: 0; }
}
@media print { .stnreg-flicker .turn, .stnreg-flicker .back { animation: none; } .stnreg-flicker .turn { opacity: 0; } }
.stnreg-flicker:active .turn { animation: none; opacity: 0; }
.stnreg-flicker:active .back { animation: none; opacity: 1; }
"""
"""Pointing at it holds it; holding the button down shows the second image, also where motion is turned off."""


def write_qc_svg(
    path: str | PathLike[str],
    fixed: Volume,
    moving: Volume,
    fixed_to_moving: TransformLike,
    title_lines: Sequence[str] = (),
    *,
    outlines: Outlines = None,
    **_: Any,
) -> None:
    """Draw before and after, in turn.

    Parameters
    ----------
    path : path
        An SVG, written atomically. It holds its pictures, and stands alone or in a page.
    fixed, moving : Volume
    fixed_to_moving : Transform, or (4, 4) float64
        Fixed LPS points to moving LPS points, mm: all of it, with a deformation.
    title_lines : sequence of str
    outlines : (Outline, Outline), optional
        Of fixed and moving: the brain to crop by, and to outline in the fixed image.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    outline = outlines[0] if outlines else None
    slices = choose_slices(fixed, outline, SPACING_MM)
    identity = Affine(np.eye(4))
    shown = {
        "fixed": _stack(fixed, slices, identity),
        "before": _stack(moving, slices, identity),
        "after": _stack(moving, slices, as_transform(fixed_to_moving)),
    }
    pictures = {name: picture(pixels, quality=QUALITY) for name, pixels in shown.items()}
    pictures["outline"] = picture(_outlined(fixed, slices, outline), exact=True)
    write_atomic(path, _svg(pictures, slices, shown["fixed"].shape, title_lines).encode())


def _stack(volume: Volume, slices: Sequence[Slice], how: Any) -> NDArray[np.uint8]:
    white = bright(volume)
    return _below([(255 * sample(volume, one.grid, how, white)[0]).astype(np.uint8) for one in slices])


def _below(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Lay planes below each other, at the left border."""
    width = max(plane.shape[1] for plane in planes)
    rest = ((0, 0),) * (planes[0].ndim - 2)
    return np.concatenate([np.pad(plane, ((0, 0), (0, width - plane.shape[1]), *rest)) for plane in planes])


def _outlined(fixed: Volume, slices: Sequence[Slice], outline: Outline | None) -> NDArray[np.uint8]:
    """Draw the border of the fixed brain, or of its head where no brain is known: (rows, columns, RGBA)."""
    identity, drawn, white = Affine(np.eye(4)), [], bright(fixed)
    for one in slices:
        codes = codes_on(one.grid, sample(fixed, one.grid, identity, white), outline, identity)[0]
        inside = codes >= (BRAIN if outline is not None else 1)
        border = np.zeros((*inside.shape, 4), np.uint8)
        across, down = inside[:, :-1] != inside[:, 1:], inside[:-1] != inside[1:]
        border[:, :-1][across] = border[:-1][down] = (70, 200, 255, 255)
        drawn.append(border)
    return _below(drawn)


def _svg(pictures: dict[str, str], slices: Sequence[Slice], shape: tuple[int, ...], title_lines: Sequence[str]) -> str:
    cells, width, height = _cells(slices)
    top = LINE * len(title_lines) + HEAD
    # A page may hold several of these, so names are unique to the content.
    names = {name: f"i{hashlib.sha256(text.encode()).hexdigest()[:16]}" for name, text in pictures.items()}
    images = "".join(
        f'<image id="{names[name]}" width="{shape[1]}" height="{shape[0]}" href="{text}"/>'
        for name, text in pictures.items()
    )
    titles = "".join(
        f'<text x="{GAP}" y="{LINE * (k + 1) - 3}">{escape(line)}</text>' for k, line in enumerate(title_lines)
    )
    panels = []
    for x, said, first, second in (
        (0, ("before: where the headers put the moving image", "after registration"), "before", "after"),
        (width, ("fixed image", "moving image after registration"), "fixed", "after"),
    ):
        layers = "".join(
            f'<g class="{kind}">{_layer(cells, names[name])}</g>' for kind, name in (("stay", second), ("turn", first))
        )
        words = "".join(
            f'<text class="{kind}" x="{GAP}" y="-6">{text}</text>'
            for kind, text in zip(("turn", "back"), said, strict=True)
        )
        panels.append(
            f'<g transform="translate({x} {top})">{layers}{_layer(cells, names["outline"])}{_letters(cells)}{words}</g>'
        )
    about = escape("; ".join(title_lines) or "registration", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="stnreg-flicker" role="img" aria-label="{about}" '
        f'viewBox="0 0 {2 * width} {top + height}" width="{2 * width}">\n<style>{STYLE}</style>\n'
        f"<defs>{images}</defs>\n{titles}\n" + "\n".join(panels) + "\n</svg>\n"
    )


def _cells(slices: Sequence[Slice]) -> tuple[list[tuple[Slice, int, int, int, int, int]], int, int]:
    """Lay out a panel: a row for each plane.

    Returns
    -------
    cells : list of (slice, x, y, width, height, row in the pictures)
        Units of the picture; the row in pixels.
    width, height : int
        Of the panel.
    """
    cells, row, y, widest = [], 0, 0, 0
    for plane in range(len(PLANES)):
        x, tallest = GAP, 0
        for one in (one for one in slices if one.plane == plane):
            wide, tall = (round(SCALE * size) for size in one.grid.size[:2])
            cells.append((one, x, y, wide, tall, row))
            row += one.grid.size[1]
            x, tallest = x + wide + GAP, max(tallest, tall)
        y, widest = y + tallest + LINE, max(widest, x)  # the place of each slice stands below it
    return cells, widest, y


def _layer(cells: Sequence[tuple[Slice, int, int, int, int, int]], name: str) -> str:
    return "".join(
        f'<svg x="{x}" y="{y}" width="{wide}" height="{tall}" viewBox="0 {row} {one.grid.size[0]} {one.grid.size[1]}">'
        f'<use href="#{name}"/></svg>'
        for one, x, y, wide, tall, row in cells
    )


def _letters(cells: Sequence[tuple[Slice, int, int, int, int, int]]) -> str:
    written = []
    for one, x, y, wide, tall, _ in cells:
        _, _, _, left, right, top, bottom = PLANES[one.plane]
        for letter, dx, dy in (
            (left, 2, tall // 2),
            (right, wide - 9, tall // 2),
            (top, wide // 2, 10),
            (bottom, wide // 2, tall - 3),
            (place_of(one), 2, tall + LINE - 4),
        ):
            written.append(f'<text class="faint" x="{x + dx}" y="{y + dy}">{letter}</text>')
    return "".join(written)
