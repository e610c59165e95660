"""How time and memory grow with the image: one head on grids from 64^3 to 512^3, `stnreg register` as a whole process.

python -m benchmarks.speed.growth [--sizes 64,128,192,256,384,512] [--runs 3] [--png FILE]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.speed.process import ROOT, STNREG, compile_as_installed, timed

FIELD_MM = 256.0


def make_heads(folder: str, size: int) -> None:
    """Write two heads on cubic grids of so many voxels over one field of view, int16."""
    import numpy as np

    from benchmarks.common.heads import shared_folder
    from stnreg.geometry.grid import Grid
    from stnreg.images.volume import Volume, load_volume, save_volume
    from stnreg.resampling.resample import resample

    for name in ("sub-01", "sub-02"):
        scan = load_volume(shared_folder() / f"data/dev/ds000011/{name}_T1w.nii.gz")
        grid = Grid.cube(scan.grid.center_lps, size, FIELD_MM / size)
        voxels = np.rint(resample(scan.array, scan.grid, grid, np.eye(4))).astype(np.int16)
        save_volume(Path(folder, f"{name}.nii.gz"), voxels, like=Volume(voxels, grid), dtype="same")


def plot(rows: list[tuple[int, float, float]], path: Path) -> None:
    """Draw seconds and memory against voxels, both axes logarithmic; in grey what would grow as the voxels do."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    width, height, edge = 420, 320, 50
    sheet = Image.new("RGB", (2 * width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    voxels = np.log([size**3 for size, _, _ in rows])
    for k, (title, column) in enumerate((("seconds", 1), ("peak memory, MB", 2))):
        values = np.log([row[column] for row in rows])
        low, high = values.min() - 0.4, values.max() + 0.6
        left, top, right, bottom = k * width + edge, 30, (k + 1) * width - 20, height - edge
        x = left + 15 + (voxels - voxels[0]) / np.ptp(voxels) * (right - left - 30)
        y = bottom - (values - low) / (high - low) * (bottom - top)
        draw.rectangle([left, top, right, bottom], outline="gray")
        draw.text((left, 8), title, fill="black", font=font)
        per_voxel = y[-1] + (voxels[-1] - voxels) / (high - low) * (bottom - top)
        within = per_voxel < bottom
        start = np.interp(bottom, per_voxel[::-1], x[::-1]) if not within.all() else x[0]
        draw.line([(start, min(bottom, per_voxel[0])), (x[-1], y[-1])], fill="#bbbbbb")
        draw.line(list(zip(x, y, strict=True)), fill="#c0722e", width=2)
        for (size, *told), px, py in zip(rows, x, y, strict=True):
            draw.ellipse([px - 3, py - 3, px + 3, py + 3], fill="#c0722e")
            draw.text((px, py - 8), f"{told[column - 1]:.{2 if column == 1 else 0}f}", "black", font, anchor="ms")
            draw.text((px, bottom + 6), str(size), fill="gray", font=font, anchor="ma")
        draw.text(((left + right) / 2, bottom + 26), "voxels along each axis", fill="gray", font=font, anchor="ma")
    sheet.save(path)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="64,128,192,256,384,512")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    compile_as_installed()
    print("voxels\twall_s\tcpu_s\tpeak_MB\tns_per_voxel\tbytes_per_voxel")
    rows = []
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            code = f"from benchmarks.speed.growth import make_heads; make_heads({folder!r}, {size})"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
            images = [f"{folder}/{name}.nii.gz" for name in ("sub-01", "sub-02")]
            line = [STNREG, "register", *images, "-o", f"{folder}/out.nii.gz", "--threads", str(options.threads)]
            runs = [timed(line, options.threads) for _ in range(options.runs)]
        wall, cpu, peak = (median(getattr(run, name) for run in runs) for name in ("wall_s", "cpu_s", "peak_mb"))
        rows.append((size, wall, peak))
        voxels = size**3
        print(f"{size}^3\t{wall:.2f}\t{cpu:.2f}\t{peak:.0f}\t{wall / voxels * 1e9:.0f}\t{peak * 1e6 / voxels:.0f}")
    if options.png is not None:
        plot(rows, options.png)


if __name__ == "__main__":
    main()
