"""Processor seconds until a pair is accepted or refused: inputs of 256^3 voxels of 1 mm, validation heads.

    python -m benchmarks.robustness.refusals [--only WORD]

The fixed image is a head, 256^3; the moving one another head, part of one, what is no head, or nothing. Prints one line
a pair. Seconds are user time of one thread, with reading left out, so that other work on the machine counts little.
"""

import argparse
import resource
from collections.abc import Callable

import numpy as np

import stnreg
from benchmarks.common.heads import load_heads
from benchmarks.common.variants import generator, make
from benchmarks.verdict.phantoms import OTHERS, not_a_head
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.resampling.resample import resample

Array = np.ndarray
SIZE = 256
PARTS = ("whole", "moved", "turned", "half", "slab", "noisy", "hole", "t2", "mirrored", "no brain", "neck")


def on_large_grid(image: Array, grid: Grid) -> Volume:
    """Resample an image to 256^3 voxels of 1 mm about its middle."""
    large = Grid.cube(apply_affine(grid.index_to_lps, (np.array(grid.size) - 1) / 2), SIZE, 1.0)
    return Volume(resample(image.astype(np.float32), grid, large, np.eye(4)).astype(np.float32), large)


def inputs() -> dict[str, Callable[[], Volume]]:
    """Return what makes each moving image, by name; the fixed one is `fixed`."""
    heads = load_heads("validation")

    def part(kind: str, k: int) -> Volume:
        variant = make(heads[k], kind)
        return on_large_grid(variant.image, variant.grid)

    def other(kind: str, k: int) -> Volume:
        variant = not_a_head(kind, k)
        return on_large_grid(variant.image, variant.grid)

    def noise() -> Volume:
        rng = generator("noise")
        return Volume(rng.random((SIZE,) * 3, dtype=np.float32), Grid.cube(np.zeros(3), SIZE, 1.0))

    return {
        "fixed": lambda: part("whole", 0),
        **{f"one person, {kind}": lambda kind=kind: part(kind, 0) for kind in PARTS[1:9]},  # type: ignore[misc]
        **{f"two people, {kind}": lambda kind=kind: part(kind, 1) for kind in PARTS},  # type: ignore[misc]
        **{f"{kind} {k}": lambda kind=kind, k=k: other(kind, k) for kind in OTHERS for k in (0, 1)},  # type: ignore[misc]
        "noise": noise,
        "constant": lambda: Volume(np.ones((SIZE,) * 3, np.float32), Grid.cube(np.zeros(3), SIZE, 1.0)),
    }


def user_seconds() -> float:
    """Return the user time of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def main() -> None:
    """Time every pair, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="moving images whose name contains this")
    options = parser.parse_args()
    made = inputs()
    fixed = made.pop("fixed")()
    stnreg.register(fixed, fixed, threads=1)  # what is loaded once
    print("| moving image | verdict | processor seconds | reason |")
    print("| --- | --- | --- | --- |")
    for name in (name for name in made if options.only in name):
        moving, begun = made[name](), user_seconds()
        verdict = stnreg.register(fixed, moving, threads=1).verdict
        seconds = user_seconds() - begun
        reason = verdict.reasons[0].split(";")[0].split(":")[0][:80] if verdict.reasons else ""
        print(f"| {name} | {'accepted' if verdict.passed else 'rejected'} | {seconds:.1f} | {reason} |", flush=True)


if __name__ == "__main__":
    main()
