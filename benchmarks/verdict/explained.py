"""How much of an image's contrast its structures explain: of heads in any contrast, and of heads without a brain.

    python -m benchmarks.verdict.explained [--heads 6]

Real validation heads, and the validation anatomies painted in every contrast; then the same real heads with their
brain replaced: by nothing, by its median, by noise, by blobs 4 voxels wide. Where two people correlate little, both
images must show their structures (`stnreg/registration/quality.py`, EXPLAINED). `accepted`: of the heads without a
brain, each registered to the last validation head with 6 and with 12 degrees of freedom.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common.heads import Head, load_heads
from benchmarks.common.painted import CONTRASTS, VALIDATION_ANATOMIES, Scanner, load_anatomy, paint
from benchmarks.common.variants import generator, no_brain, spoilt
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.registration.encoding import encode
from stnreg.registration.explained import explained_contrast
from stnreg.registration.quality import EXPLAINED
from stnreg.registration.register import register
from stnreg.resampling.block_mean import BlockMeans

Array = np.ndarray
RANDOM = 4  # contrasts drawn at random, of each anatomy
BLOB_VOXELS = 4.0
DOFS = (6, 12)


def real(heads: list[Head]) -> Iterator[tuple[str, Array, Grid]]:
    """Yield real heads as they are, and with another interior."""
    for head in heads:
        rng = generator("explained", head.name)
        yield "real T1", spoilt(head.image, rng), head.grid
        inside = head.image[head.labels > 0]
        middle, spread = float(np.median(inside)), float(inside.std())
        dark = no_brain(head.image, head, rng)
        gone = dark != head.image
        blobs = gaussian_filter(rng.standard_normal(dark.shape), BLOB_VOXELS)
        fills = {
            "no brain: dark": np.zeros(dark.shape),
            "no brain: its median": np.full(dark.shape, middle),
            "no brain: noise": middle + spread * rng.standard_normal(dark.shape),
            "no brain: blobs": middle + spread * blobs / blobs.std(),
        }
        for kind, fill in fills.items():
            yield kind, spoilt(np.where(gone, fill, dark).astype(np.float32), rng), head.grid


def painted() -> Iterator[tuple[str, Array, Grid]]:
    """Yield the validation anatomies, painted."""
    for number in VALIDATION_ANATOMIES:
        codes, grid = load_anatomy(number)
        for sample, contrast in enumerate((*CONTRASTS, *["random"] * RANDOM)):
            rng = generator("explained", number, contrast, sample)
            scan = paint(codes, grid, np.eye(4), Scanner(contrast, noise=float(rng.uniform(0.03, 0.06))), rng)
            yield f"painted {contrast}", scan.image, scan.grid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=6, help="of the 18 real ones")
    options = parser.parse_args()
    heads = load_heads("validation")
    fixed = encode(Volume(heads[-1].image, heads[-1].grid))
    found: dict[str, list[float]] = {}
    accepted: dict[str, list[bool]] = {}
    for kind, image, grid in (*real(heads[: options.heads]), *painted()):
        encoded = encode(Volume(image, grid))
        if encoded.encoding.has_head:
            found.setdefault(kind, []).append(explained_contrast(BlockMeans(image, grid), encoded.encoding))
        if kind.startswith("no brain"):
            passed = [bool(register(fixed, encoded, dof=dof).verdict.passed) for dof in DOFS]
            accepted.setdefault(kind, []).extend(passed)
    print(f"{'':22}{'images':>7}{'least':>7}{'most':>7}{'accepted':>10}   (at least {EXPLAINED:g} is asked)")
    for kind, shares in found.items():
        of = accepted.get(kind)
        told = f"{sum(of)} of {len(of)}" if of else ""
        print(f"{kind:22}{len(shares):>7}{min(shares):>7.2f}{max(shares):>7.2f}{told:>10}".rstrip())


if __name__ == "__main__":
    main()
