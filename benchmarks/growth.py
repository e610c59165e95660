"""How time and memory grow with the image: one head on grids from 64^3 to 512^3, `stnreg register` as a whole process.

python -m benchmarks.growth [--sizes 64,128,192,256,384,512] [--runs 3] [--png FILE]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.speed import HERE, compile_as_installed, timed

FIELD_MM = 256.0
STNREG = str(Path(sys.executable).with_name("stnreg"))


def make_heads(folder: str, size: int) -> None:
    """Write two heads on cubic grids of so many voxels over one field of view, int16."""
    import numpy as np

    from benchmarks.heads import shared_folder
    from stnreg.geometry.grid import Grid
    from stnreg.io.volume import Volume, load_volume, save_volume
    from stnreg.preprocess.resample import resample

    for name in ("sub-01", "sub-02"):
        scan = load_volume(shared_folder() / f"data/dev/ds000011/{name}_T1w.nii.gz")
        grid = Grid.cube(scan.grid.center_lps, size, FIELD_MM / size)
        voxels = np.rint(resample(scan.array, scan.grid, grid, np.eye(4))).astype(np.int16)
        save_volume(Path(folder, f"{name}.nii.gz"), voxels, like=Volume(voxels, grid), dtype="same")


def plot(rows: list[tuple[int, float, float]], path: Path) -> None:
    """Draw seconds and memory against millions of voxels, with lines for what would grow as the voxels do."""
    from PIL import Image, ImageDraw, ImageFont

    width, height, edge = 420, 300, 50
    sheet = Image.new("RGB", (2 * width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    voxels = [size**3 / 1e6 for size, _, _ in rows]
    for k, (title, values) in enumerate((("seconds", [r[1] for r in rows]), ("peak memory, MB", [r[2] for r in rows]))):
        left, top = k * width + edge, 30
        wide, high = width - edge - 20, height - top - edge
        right, most = max(voxels), max(values) * 1.1

        def place(x: float, y: float, *, left=left, top=top, wide=wide, high=high, right=right, most=most):
            return left + wide * x / right, top + high * (1 - y / most)

        draw.rectangle([*place(0, most), *place(right, 0)], outline="gray")
        draw.text((left, 8), title, fill="black", font=font)
        draw.line([place(x, y) for x, y in zip(voxels, values, strict=True)], fill="#c0722e", width=2)
        for (size, _, _), x, y in zip(rows, voxels, values, strict=True):
            px, py = place(x, y)
            draw.ellipse([px - 3, py - 3, px + 3, py + 3], fill="#c0722e")
            draw.text((px - 12, py - 18), f"{y:.3g}", fill="black", font=font)
            if size >= 192:
                draw.text((px - 12, top + high + 6), f"{size}³", fill="gray", font=font)
        draw.text((left + wide / 2 - 60, top + high + 24), "voxels, to scale", fill="gray", font=font)
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
            code = f"from benchmarks.growth import make_heads; make_heads({folder!r}, {size})"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parent)
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
