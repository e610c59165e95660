"""Draw 25 training images of the anatomy networks, as the networks see them, with their structures beside them.

    python -m benchmarks.networks.training_samples PACKED OUT.png [--kind fine|pose]

PACKED is the folder that `python -m stnreg.training.anatomy.pack SHARED PACKED` wrote.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from stnreg.training.anatomy.task import AnatomyTask

COLUMNS, ROWS, EDGE_PX = 5, 5, 160


def colours(count: int) -> np.ndarray:
    """Return a fixed colour per map, black for the background, (count, 3) uint8."""
    table = np.random.default_rng(3).integers(60, 255, (count, 3))
    table[0] = 0
    return table.astype(np.uint8)


def draw(task: AnatomyTask) -> Image.Image:
    """Draw a sheet: each cell is a slice of the image, axial, coronal or sagittal in turn, and its structures."""
    sheet = Image.new("RGB", (COLUMNS * 2 * EDGE_PX, ROWS * EDGE_PX))
    table = None
    for k in range(COLUMNS * ROWS):
        images, shares = task.make_batch(10_000 + k, batch=2)
        image, share = images[k % 2, 0].numpy(), shares[k % 2].numpy()
        table = colours(len(share)) if table is None else table
        axis = k % 3
        plane = np.take(image, image.shape[axis] // 2, axis)
        classes = np.take(share, share.shape[1 + axis] // 2, 1 + axis).argmax(0)
        if axis:  # superior up
            plane, classes = plane[::-1], classes[::-1]
        grey = Image.fromarray(np.clip(plane / 1.2 * 255, 0, 255).astype(np.uint8)).convert("RGB")
        colour = Image.fromarray(table[classes])
        x, y = (k % COLUMNS) * 2 * EDGE_PX, (k // COLUMNS) * EDGE_PX
        sheet.paste(grey.resize((EDGE_PX, EDGE_PX), Image.Resampling.BILINEAR), (x, y))
        sheet.paste(colour.resize((EDGE_PX, EDGE_PX), Image.Resampling.NEAREST), (x + EDGE_PX, y))
    return sheet


def main() -> None:
    """Draw and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--kind", choices=("fine", "pose"), default="fine")
    options = parser.parse_args()
    draw(AnatomyTask(options.kind, options.packed)).save(options.output, optimize=True)
    print(f"{options.output}: 25 images, painted and real in turn")


if __name__ == "__main__":
    main()
