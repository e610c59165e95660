"""The images that `benchmarks.speed.run` measures with, written by a process of its own.

    python -m benchmarks.speed.inputs FOLDER

1 mm: two heads of `dev/ds000011`, 256^3, int16. 2 mm: two of `dev/ixi`, 128^3. All are .nii.gz, named SIZE-PERSON-TURN:
upright, and turned about an oblique axis by 30 and by 120 degrees, with a shift of a few mm. Air stays 0, and other
voxels of the first person have noise of their own in each image.
Visits of one person, for a series: turned by a few degrees. `neck`, `box` and `slab`: what is refused.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.common.heads import shared_folder
from benchmarks.robustness.refusals import inputs as unusual
from stnreg.geometry.affine import compose
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, load_volume, save_volume
from stnreg.resampling.resample import resample

Array = np.ndarray
PEOPLE = {
    "1mm": ("dev/ds000011/sub-01_T1w.nii.gz", "dev/ds000011/sub-02_T1w.nii.gz"),
    "2mm": ("dev/ixi/*_T1.nii.gz", "dev/ixi/*_T1.nii.gz"),
}
VOXELS = {"1mm": (256, 1.0), "2mm": (128, 2.0)}
TURNS_DEG, VISITS_DEG = (0, 30, 120), (3, 6)
AXIS, SHIFT_MM = np.array([1.0, -1.0, 2.0]) / np.sqrt(6), np.array([4.0, -6.0, 3.0])
NOISE = 0.03  # of each voxel
REFUSED = {"neck": "two people, neck", "slab": "two people, slab", "box": "box 0", "limb": "limb 0"}


def turned(center_lps: Array, degrees: float) -> Array:
    """Return a rotation about a point, and a shift with it unless the angle is 0; (4, 4), LPS mm."""
    angle, (x, y, z) = np.deg2rad(degrees), AXIS
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    out = np.eye(4)
    out[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    out[:3, 3] = center_lps - out[:3, :3] @ center_lps + (SHIFT_MM if degrees else 0)
    return out


def write(path: Path, scan: Volume, size: str, degrees: float, seed: int) -> None:
    """Write a scan on a cubic grid, turned, as int16; with noise unless the seed is 0."""
    voxels, spacing_mm = VOXELS[size]
    direction = np.diag([-1.0, -1.0, 1.0])
    corner = scan.grid.center_lps - direction @ np.full(3, spacing_mm * (voxels - 1) / 2)
    grid = Grid.from_parts((voxels,) * 3, (spacing_mm,) * 3, corner, direction)
    array = resample(scan.array, scan.grid, grid, compose(turned(scan.grid.center_lps, degrees)))
    if seed:
        array *= 1 + NOISE * np.random.default_rng(seed).standard_normal(array.shape, np.float32)
    stored = np.rint(np.clip(array, 0, 32767)).astype(np.int16)
    save_volume(path, stored, like=Volume(stored, grid), dtype="same")


def main() -> None:
    """Write all images."""
    folder = Path(sys.argv[1])
    for size, patterns in PEOPLE.items():
        found = [sorted((shared_folder() / "data").glob(pattern)) for pattern in patterns]
        for k, paths in enumerate(found):
            scan = load_volume(paths[k if len(paths) > 1 else 0])
            for degrees in (*TURNS_DEG, *(VISITS_DEG if k == 0 else ())):
                write(folder / f"{size}-{k}-{degrees}.nii.gz", scan, size, degrees, seed=0 if k else degrees)
            if k == 0:
                write(folder / f"{size}-0-again.nii.gz", scan, size, 0, seed=7)
    made = unusual()
    for name, key in {"whole": "fixed", **REFUSED}.items():
        volume = made[key]()
        save_volume(folder / f"{name}.nii.gz", volume.array, like=volume)


if __name__ == "__main__":
    main()
