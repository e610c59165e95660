"""Heads in several contrasts: painted from the validation anatomies, and the scans of one patient's visits."""

import numpy as np

from benchmarks.common.heads import Head, shared_folder
from benchmarks.common.painted import VALIDATION_ANATOMIES, Scanner, brain_of, load_anatomy, paint
from stnreg.images.volume import load_volume
from stnreg.resampling.resample import resample

THICK_MM = (1.0, 1.0, 5.0)  # slices of a clinical FLAIR


def painted_heads(
    contrast: str = "t1", samples: int = 3, spacing_mm: tuple[float, float, float] = (1, 1, 1)
) -> list[Head]:
    """Paint each validation anatomy several times, unmoved, each time in new intensities, texture, noise and bias.

    Head k of one contrast shows the anatomy of head k of every other; the labels are those of the brain.
    """
    heads = []
    for sample in range(samples):
        for number in VALIDATION_ANATOMIES:
            codes, grid = load_anatomy(number)
            rng = np.random.default_rng([number, sample, *contrast.encode()])
            scan = paint(codes, grid, np.eye(4), Scanner(contrast, spacing_mm=spacing_mm), rng)
            brain = np.where(brain_of(codes), codes, 0).astype(np.int16)
            labels = resample(brain, grid, scan.grid, np.eye(4), interp="nearest")
            heads.append(Head(f"anatomy{number}-{contrast}-{sample}", scan.image, labels, scan.grid))
    return heads


def visits() -> dict[str, dict[str, Head]]:
    """Load the visits of the one patient: contrast by contrast, in one world within a visit; no labels."""
    found: dict[str, dict[str, Head]] = {}
    for path in sorted((shared_folder() / "data/dev/openms").glob("*.nii.gz")):
        _, visit, contrast = path.name.removesuffix(".nii.gz").split("_")
        scan = load_volume(str(path))
        image = scan.array.astype(np.float32)
        found.setdefault(visit, {})[contrast] = Head(path.name, image, np.zeros(image.shape, np.int16), scan.grid)
    return found
