"""A picture of what `benchmarks.bench` measured: every pair a dot, a line per method, better to the left."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import OURS

WIDTH_PX, LEFT_PX, STEP_PX, HEAD_PX, FOOT_PX = 1400, 260, 44, 56, 66
OUR_COLOUR, PEER_COLOUR = "#1f5fa8", "#777777"
TICKS_MM = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


Row = tuple[bool, dict[str, np.ndarray]]
"""Whether the figures are label Dice of two people, or errors in mm; and the figure of every pair, by method."""


def draw(rows: dict[str, Row], png: Path) -> None:
    """Draw the rows under each other.

    Parameters
    ----------
    rows : dict
        By title.
    png : Path
    """
    from PIL import Image, ImageDraw, ImageFont

    heights = [HEAD_PX + FOOT_PX + STEP_PX * len(figures) for _, figures in rows.values()]
    sheet = Image.new("RGB", (WIDTH_PX, sum(heights)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(22)
    top = 0
    for (title, row), height in zip(rows.items(), heights, strict=True):
        _row(pen, font, top, title, row)
        top += height
    png.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(png, optimize=True)
    print(f"\n{png}: the same as a picture")


def _row(pen: Any, font: Any, top: int, title: str, row: Row) -> None:
    people, figures = row
    first, last = top + HEAD_PX, top + HEAD_PX + STEP_PX * len(figures)
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
    for k, (method, values) in enumerate(figures.items()):
        y = first + (k + 0.5) * STEP_PX
        colour = OUR_COLOUR if method in OURS else PEER_COLOUR
        pen.text((LEFT_PX - 14, y), method, colour, font, anchor="rm")
        shake = np.random.default_rng(0).uniform(-0.28, 0.28, len(values)) * STEP_PX
        for value, dy in zip(values, shake, strict=True):
            x = place(value)
            pen.ellipse([x - 4, y + dy - 4, x + 4, y + dy + 4], outline=colour, width=2)
        x = place(float(np.median(values)))
        pen.line([(x, y - 0.45 * STEP_PX), (x, y + 0.45 * STEP_PX)], "#c03020", 3)
