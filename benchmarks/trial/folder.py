"""A folder of 30 scans of 28 people, as a newcomer may have it: five of the scans are bad.

The good ones are the 24 T1 heads of `dev/` of the shared scans, of two scanners, and the second visit of one of them:
the same head turned and with noise of its own, because the shared scans hold no two visits on one scanner. The bad ones
are made of validation heads of `train/ixi`, a phantom, and a stroke of `zoo/`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.common.heads import random_turn, shared_folder
from benchmarks.common.variants import generator, moved_grid, spoilt
from benchmarks.verdict.phantoms import not_a_head
from benchmarks.verdict.sides import mirrored
from stnreg.geometry.affine import invert
from stnreg.images.volume import Volume, load_volume, save_volume
from stnreg.resampling.resample import resample

TRUNCATED, LIMB, EXCHANGED, PERSON, LESION = (
    "truncated file",
    "another part of the body",
    "left and right exchanged",
    "another person",
    "lesion",
)
BAD: Mapping[str, str] = {
    "sub-03_T1w": TRUNCATED,
    "sub-09_T1w": LIMB,
    "sub-14_T1w": EXCHANGED,
    "sub-21_ses-2_T1w": PERSON,
    "sub-26_T1w": LESION,
}
"""What is wrong with which scan."""
REVISITED = "sub-12"
"""The person with two good visits; `sub-21` is the other one with two."""
SHARE_KEPT = 0.6
"""Of the truncated file."""


def scan_names() -> list[str]:
    """Return the names of all scans, without the ending."""
    names = []
    for k in range(1, 29):
        visits = ("_ses-1", "_ses-2") if f"sub-{k:02d}" in (REVISITED, "sub-21") else ("",)
        names += [f"sub-{k:02d}{visit}_T1w" for visit in visits]
    return names


def write_folder(folder: Path) -> None:
    """Write the 30 scans."""
    data = shared_folder() / "data"
    good = sorted([*data.glob("dev/ixi/*_T1.nii.gz"), *data.glob("dev/ds000011/*_T1w.nii.gz")])
    cut, flipped, other = sorted(data.glob("train/ixi/*_T1.nii.gz"))[-3:]
    heads, first = iter(good), good[0]
    folder.mkdir(parents=True)
    for name in scan_names():
        out = folder / f"{name}.nii.gz"
        match BAD.get(name, name):
            case "truncated file":
                packed = cut.read_bytes()
                out.write_bytes(packed[: int(len(packed) * SHARE_KEPT)])
            case "another part of the body":
                limb = not_a_head("limb", 0)
                scan = Volume(limb.image, limb.grid)
                save_volume(out, scan.array, like=scan)
            case "left and right exchanged":
                scan = mirrored(load_volume(flipped))
                save_volume(out, scan.array, like=scan)
            case "another person":
                shutil.copy(other, out)
            case "lesion":
                shutil.copy(data / "zoo/stroke_t1_flair_small/fixed.nii.gz", out)
            case "sub-12_ses-2_T1w":
                scan = _scanned_again(load_volume(first))
                save_volume(out, scan.array, like=scan)
            case _:
                first = next(heads)
                shutil.copy(first, out)


def _scanned_again(scan: Volume) -> Volume:
    """Return the same head as another visit shows it: turned, on a grid of its own, with other noise."""
    rng = generator(REVISITED)
    move = random_turn(rng, 12, 15, scan.grid.center_lps)
    grid = moved_grid(scan.grid, move, 2.0)
    return Volume(spoilt(resample(scan.array.astype(np.float32), scan.grid, grid, invert(move)), rng), grid)
