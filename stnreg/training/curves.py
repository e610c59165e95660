"""The curves of a training run: one panel per metric, training in grey and validation in orange."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stnreg.core.files import write_atomic
from stnreg.training.record import Figure

PANEL_PX = (360, 220)  # width, height
MARGIN_PX = (52, 26)  # for labels at the left; for the title above and the steps below
COLUMNS = 3
COLORS = {"train": (120, 120, 120), "validation": (230, 110, 0)}
TOGETHER = {"score": "loss"}  # metrics that share a panel with another
LOG_RATIO = 20  # logarithmic axis above this ratio of maximum to minimum
MOST_POINTS = 500  # maximum points per curve; neighbours are averaged


def write_curves(path: Path, figures: Sequence[Figure]) -> None:
    """Draw every metric of a run against the step, as PNG, written atomically.

    Parameters
    ----------
    path : Path
    figures : sequence of Figure
        Sorted by step.
    """
    from PIL import Image, ImageDraw, ImageFont

    panels = curves_by_panel(figures)
    rows = max(1, math.ceil(len(panels) / COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * PANEL_PX[0], rows * PANEL_PX[1]), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (title, curves) in enumerate(panels.items()):
        row, column = divmod(number, COLUMNS)
        _panel(draw, font, (column * PANEL_PX[0], row * PANEL_PX[1]), title, curves)
    png = io.BytesIO()
    sheet.save(png, "PNG")
    write_atomic(path, png.getvalue())


def curves_by_panel(figures: Sequence[Figure]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Group metrics into panels (by name) and curves (by split): lists of (step, value), thinned, finite."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for step, split, name, value in figures:
        if math.isfinite(value):
            panel = panels.setdefault(TOGETHER.get(name, name), {})
            panel.setdefault(split, []).append((step, value))
    return {name: {split: thinned(points) for split, points in panel.items()} for name, panel in panels.items()}


def thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Average neighbours until a curve has at most `MOST_POINTS` points."""
    block = math.ceil(len(points) / MOST_POINTS)
    if block <= 1:
        return points
    blocks = [points[k : k + block] for k in range(0, len(points), block)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in blocks]


def _panel(
    draw: Any, font: Any, corner: tuple[int, int], title: str, curves: dict[str, list[tuple[int, float]]]
) -> None:
    """Draw one panel: frame, limits of both axes, the curves, and the last value of each."""
    left, top = corner[0] + MARGIN_PX[0], corner[1] + MARGIN_PX[1]
    right, bottom = corner[0] + PANEL_PX[0] - 8, corner[1] + PANEL_PX[1] - MARGIN_PX[1]
    points = [point for curve in curves.values() for point in curve]
    steps, values = [p[0] for p in points], [p[1] for p in points]
    first, last, low, high = min(steps), max(steps), min(values), max(values)
    is_log = low > 0 and high / low > LOG_RATIO
    scale = math.log if is_log else float
    span = scale(high) - scale(low) or 1.0

    def pixel(step: int, value: float) -> tuple[float, float]:
        across = (step - first) / ((last - first) or 1)
        return left + across * (right - left), bottom - (scale(value) - scale(low)) / span * (bottom - top)

    draw.rectangle((left, top, right, bottom), outline=(200, 200, 200))
    for text, y in ((f"{high:.3g}", top), (f"{low:.3g}", bottom - 12)):
        draw.text((left - 6 - draw.textlength(text, font=font), y), text, fill="black", font=font)
    draw.text((left, bottom + 4), f"{first}", fill="black", font=font)
    ending = f"step {last}"
    draw.text((right - draw.textlength(ending, font=font), bottom + 4), ending, fill="black", font=font)
    draw.text((left, corner[1] + 8), title + (" (log)" if is_log else ""), fill="black", font=font)
    x = right
    for split, curve in curves.items():
        color = COLORS.get(split, (0, 0, 0))
        line = [pixel(*point) for point in curve]
        if len(line) > 1:
            draw.line(line, fill=color, width=2)
        else:
            (px, py) = line[0]
            draw.ellipse((px - 2, py - 2, px + 2, py + 2), fill=color)
        legend = f"{split} {curve[-1][1]:.3g}"
        x -= draw.textlength(legend, font=font) + 8
        draw.text((x, corner[1] + 8), legend, fill=color, font=font)
