"""A picture of what `benchmarks.accuracy.run` measured: every pair a dot, a line per method, better to the left."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.methods import METHODS, OURS
from benchmarks.accuracy.results import Line, figure, is_people

WIDTH_PX, LEFT_PX, STEP_PX, HEAD_PX, FOOT_PX = 1400, 260, 44, 56, 66
OUR_COLOUR, PEER_COLOUR = "#1f5fa8", "#777777"
TICKS_MM = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def draw(rows: dict[str, list[Line]], png: Path) -> None:
    """Draw the rows under each other.

    Parameters
    ----------
    rows : dict
        Lines of the CSV by title.
    png : Path
    """
    from PIL import Image, ImageDraw, ImageFont

    methods = {title: [m for m in METHODS if any(r["method"] == m for r in lines)] for title, lines in rows.items()}
    heights = [HEAD_PX + FOOT_PX + STEP_PX * len(found) for found in methods.values()]
    sheet = Image.new("RGB", (WIDTH_PX, sum(heights)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(22)
    top = 0
    for (title, lines), height in zip(rows.items(), heights, strict=True):
        _row(pen, font, top, title, lines, methods[title])
        top += height
    png.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(png, optimize=True)
    print(f"\n{png}: the same as a picture")


def _row(pen: Any, font: Any, top: int, title: str, lines: list[Line], methods: list[str]) -> None:
    people = is_people(lines)
    first, last = top + HEAD_PX, top + HEAD_PX + STEP_PX * len(methods)
    pen.text((16, top + 16), f"{title}: {'label Dice' if people else 'error in mm'}", "black", font)
    reach = (0.7, 0.0) if people else (0.01, 100.0)  # Dice falls to the right, so that left is better in all

    def place(value: float) -> float:
        if not people:
            value = float(np.log10(np.clip(value, *reach)))
        a, b = reach if people else np.log10(reach)
        return LEFT_PX + (value - a) / (b - a) * (WIDTH_PX - LEFT_PX - 40)

    for tick in np.arange(0, 0.71, 0.1) if people else TICKS_MM:
        x = place(float(tick))
        pen.line([(x, first), (x, last)], "#dddddd")
        pen.text((x, last + 8), f"{tick:.1f}" if people else f"{tick:g}", "black", font, anchor="mt")
    for k, method in enumerate(methods):
        y = first + (k + 0.5) * STEP_PX
        colour = OUR_COLOUR if method in OURS else PEER_COLOUR
        pen.text((LEFT_PX - 14, y), method, colour, font, anchor="rm")
        values = figure([r for r in lines if r["method"] == method])
        shake = np.random.default_rng(0).uniform(-0.28, 0.28, len(values)) * STEP_PX
        for value, dy in zip(values, shake, strict=True):
            x = place(value)
            pen.ellipse([x - 4, y + dy - 4, x + 4, y + dy + 4], outline=colour, width=2)
        x = place(float(np.median(values)))
        pen.line([(x, y - 0.45 * STEP_PX), (x, y + 0.45 * STEP_PX)], "#c03020", 3)
