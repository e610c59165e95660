"""The paper's picture of a pair: the moving image in grey, the target in blue, the registered image in orange.

    python -m benchmarks.paper.picture [--model separate] [--column rototranslated] [--pair 0] [-o OUT.png]

Left: moving and target as they start, with the middles of their grids on each other. Right: with the registered image.
Blue and orange add up to white, so what is coloured at the right does not lie on its target.
"""

import argparse
import io
from pathlib import Path

import numpy as np

from benchmarks.paper.columns import COLUMNS
from benchmarks.paper.methods import METHODS
from benchmarks.paper.run import ROOT, load
from stnreg.core.files import write_atomic
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.figure import plane_grids
from stnreg.resampling.resample import resample

BLUE, ORANGE = np.array([0.0, 0.45, 1.0]), np.array([1.0, 0.55, 0.0])
MOVING_SHARE = 0.35  # of the grey of the moving image beside the other two
GAP_PX, TITLE_PX = 8, 20


def plane(volume: Volume, grid: Grid, fixed_to_volume: np.ndarray) -> np.ndarray:
    """Sample a volume on a plane of the fixed space, (rows, columns), 1 at its bright tissue."""
    top = max(float(np.percentile(volume.array, 99.5)), 1e-6)
    return np.clip(resample(volume.array, volume.grid, grid, fixed_to_volume)[0] / top, 0, 1)


def overlay(grey: np.ndarray, blue: np.ndarray, orange: np.ndarray | None = None) -> np.ndarray:
    """Add up planes in their colours: (rows, columns, 3) uint8."""
    mixed = blue[..., None] * BLUE
    if orange is None:
        mixed = np.maximum(mixed, 0.8 * grey[..., None])
    else:
        mixed = np.maximum(mixed + orange[..., None] * ORANGE, MOVING_SHARE * grey[..., None])
    return (255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def main() -> None:
    """Register one pair and draw it."""
    from PIL import Image, ImageDraw, ImageFont

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=METHODS, default="separate")
    parser.add_argument("--column", choices=COLUMNS, default="rototranslated")
    parser.add_argument("--pair", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=ROOT / "build/paper", help="where pairs are kept")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/images/paper.png")
    options = parser.parse_args()
    pair = COLUMNS[options.column](options.work / options.column, options.pair + 1, 1)[options.pair]
    fixed, moving = load(pair.fixed), load(pair.moving)
    start = METHODS["none"].run(fixed, moving, options.column, options.threads)
    found = METHODS[options.model].run(fixed, moving, options.column, options.threads)
    rows = []
    for grid in plane_grids(fixed):
        target, grey, moved = plane(fixed, grid, np.eye(4)), plane(moving, grid, start), plane(moving, grid, found)
        pictures = overlay(grey, target), overlay(grey, target, moved)
        rows.append(pictures)
    wide = max(left.shape[1] for left, _ in rows) + GAP_PX
    sheet = Image.new("RGB", (2 * wide, TITLE_PX + sum(left.shape[0] + GAP_PX for left, _ in rows)))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    title = METHODS[options.model].title
    draw.text((4, 3), "moving (grey), target (blue)", fill="white", font=font)
    draw.text((wide + 4, 3), f"registered (orange): {title}", fill="white", font=font)
    y = TITLE_PX
    for left, right in rows:
        for x, picture in ((0, left), (wide, right)):
            sheet.paste(Image.fromarray(picture), (x + (wide - GAP_PX - left.shape[1]) // 2, y))
        y += left.shape[0] + GAP_PX
    png = io.BytesIO()
    sheet.save(png, "PNG")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.output, png.getvalue())
    print(f"{options.output}: {pair.id} of {options.column}, {title}")


if __name__ == "__main__":
    main()
