"""By how much the heads of two people differ in scale and shear: the spread that the refinement takes as known.

    python -m benchmarks.modalities.heads_differ

For each training head and the next one, the least-squares affine on the centroids of the labels; its strain, the
logarithm of its stretch without rotation, along left-right, front-back and up-down, and the three shears. Root mean
squares, in per cent; `all` is that of one entry of the strain.
"""

import numpy as np

from benchmarks.common.heads import VALIDATION_HEADS, load_head, oracle, shared_folder
from stnreg.registration.refine.anchor import HEADS_STRAIN, strain

NAMES = ("left-right", "front-back", "up-down", "shear xy", "shear xz", "shear yz")


def main() -> None:
    """Print the spread."""
    paths = sorted((shared_folder() / "data/train/ixi").glob("*_T1.nii.gz"))[:-VALIDATION_HEADS]
    found, before = [], load_head(paths[0])
    for path in paths[1:]:
        head = load_head(path)
        found.append(strain(oracle(before, head)))
        before = head
    spread = 100 * np.sqrt(np.square(found).mean(0))
    print(f"{len(found)} pairs of two people")
    for name, value in zip(NAMES, spread, strict=True):
        print(f"{name:11} {value:5.1f} %")
    print(f"{'all':11} {np.sqrt(np.square(spread).mean()):5.1f} %   (in use: {100 * HEADS_STRAIN:.1f} %)")


if __name__ == "__main__":
    main()
