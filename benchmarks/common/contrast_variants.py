"""One head in several contrasts: painted from the validation anatomies, or one patient's T1, T2, FLAIR of a visit."""

from functools import cache

import numpy as np

from benchmarks.common.contrast_heads import THICK_MM, visits
from benchmarks.common.heads import Head, random_turn
from benchmarks.common.painted import VALIDATION_ANATOMIES, Scanner, brain_of, load_anatomy, paint
from benchmarks.common.variants import Variant, generator
from stnreg.evaluation.foreground import foreground_mask
from stnreg.geometry.affine import compose
from stnreg.geometry.grid import Grid

PAINTED = tuple(f"anatomy{number}" for number in VALIDATION_ANATOMIES)
VISITS = ("study1", "study2")


def make(name: str) -> Variant:
    """Make an image by its name, HEAD:CONTRAST#NUMBER.

    HEAD is one of `PAINTED`, contrasts t1, t2, flair (thick slices); or of `VISITS`, contrasts T1W, T2W, FLAIR.
    Number 0 lies as it is, the others are moved by up to 30 degrees and 30 mm, each image by its own map; a visit's
    scans with their grids, so that nothing is resampled.
    """
    head_name, rest = name.split(":")
    contrast, number = rest.split("#")
    rng = generator(name)
    head = find_head(head_name)
    move = np.eye(4) if number == "0" else random_turn(rng, 30, 30, head.grid.center_lps)
    if head_name in VISITS:
        scan = visits()[head_name][contrast]
        return Variant(name, scan.image, Grid(scan.grid.size, compose(move, scan.grid.index_to_lps)), head, move)
    codes, grid = load_anatomy(int(head_name.removeprefix("anatomy")))
    scanner = Scanner(contrast, noise=float(rng.uniform(0.03, 0.06)))
    if contrast == "flair":
        scanner = Scanner(contrast, scanner.noise, spacing_mm=THICK_MM)
    painted = paint(codes, grid, move, scanner, rng)
    return Variant(name, painted.image, painted.grid, head, move)


@cache
def find_head(name: str) -> Head:
    """Return a head by its name, with labels where its brain is; of a visit, where the T1 scan is not air."""
    if name in VISITS:
        scan = visits()[name]["T1W"]
        return Head(name, scan.image, foreground_mask(scan.image).astype(np.int16), scan.grid)
    codes, grid = load_anatomy(int(name.removeprefix("anatomy")))
    return Head(name, codes, np.where(brain_of(codes), codes, 0).astype(np.int16), grid)
