"""Label Dice before and after, for each network, on the straight pairs that the shared `dev_pairs.py` lays out.

python -m benchmarks.accuracy.dice_of_pairs PAIRS [--models affine,separate,anatomy] [--glob 'ixi[0-9][0-9]']
"""

import argparse
from pathlib import Path

import numpy as np

import stnreg
from benchmarks.common.heads import Head, label_dice
from stnreg.images.volume import load_volume
from stnreg.preprocessing.initial_transform import center_geometry


def load(folder: Path, which: str) -> Head:
    """Load the fixed or moving head of a pair with its labels."""
    image, labels = load_volume(folder / f"{which}.nii.gz"), load_volume(folder / f"{which}_seg.nii.gz")
    return Head(folder.name, image.array, labels.array.astype(np.int16), image.grid)


def main() -> None:
    """Print a row per pair and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--models", default="affine,separate,anatomy")
    parser.add_argument("--refine", action="store_true", help="refine what the anatomy network found")
    parser.add_argument("--glob", default="ixi[0-9][0-9]")
    options = parser.parse_args()
    models = options.models.split(",")
    print("pair", "headers", "centred", *models, sep="\t")
    rows = []
    for folder in sorted(options.pairs.glob(options.glob)):
        fixed, moving = load(folder, "fixed"), load(folder, "moving")
        found = [np.eye(4), center_geometry(fixed.grid, moving.grid)]
        files = folder / "fixed.nii.gz", folder / "moving.nii.gz"
        found += [stnreg.register(*files, model=model, refine=options.refine).fixed_to_moving for model in models]
        rows.append([label_dice(fixed, moving, fixed_to_moving) for fixed_to_moving in found])
        print(folder.name, *(f"{v:.4f}" for v in rows[-1]), sep="\t", flush=True)
    print("mean", *(f"{v:.4f}" for v in np.mean(rows, axis=0)), sep="\t")


if __name__ == "__main__":
    main()
