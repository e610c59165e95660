"""Pairs of two people, to see whether the refinement improves what the structures alone determine; validation alone.

`ixi` are real heads with the labels that the network was trained on, each with the fifth one after it; `stripped` the
same, the fixed head without its skull, every other one with the third after it. The others are painted from the three
validation anatomies, 1 mm, with FreeSurfer's labels: `painted` as they are, `painted-stripped` the fixed one without
skull, `scanners` the fixed one thicker, noisier and with a stronger bias field, `elderly` the fixed one with lateral
ventricles grown to two or three times their volume, `t2`, `flair` and `any-contrast` the fixed one in such a contrast;
`t2-stripped`, `flair-stripped` and `any-stripped` the same with both heads without skull.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.common.heads import VALIDATION_HEADS, Head, load_heads, random_turn
from benchmarks.common.painted import (
    FLUID_AROUND,
    VALIDATION_ANATOMIES,
    Scanner,
    brain_of,
    load_anatomy,
    paint,
)
from stnreg.geometry.affine import invert
from stnreg.resampling.resample import resample
from stnreg.simulation.change import ventricle_growth
from stnreg.simulation.tissues import to_byte_codes

Array = np.ndarray
IXI_PARTNER, STRIPPED_PARTNER = 5, 3
SAMPLES = 2  # of each painted pair of anatomies, in a circle
GROWTH = (1.0, 2.0)  # of the ventricles, shares of their volume
SCANNERS = {
    "painted": Scanner(),
    "painted-stripped": Scanner(),
    "scanners": Scanner(noise=0.06, bias=0.5, spacing_mm=(1.0, 1.2, 1.5)),
    "elderly": Scanner(),
    "t2": Scanner("t2"),
    "flair": Scanner("flair"),
    "any-contrast": Scanner("random"),
    "t2-stripped": Scanner("t2"),
    "flair-stripped": Scanner("flair"),
    "any-stripped": Scanner("random"),
}
BOTH_STRIPPED = ("t2-stripped", "flair-stripped", "any-stripped")
Pair = tuple[Head, Head]


def ixi_pairs() -> list[Callable[[], Pair]]:
    """Real heads, 2 mm."""

    def pair(k: int) -> Pair:
        heads = _heads()
        return heads[k], heads[(k + IXI_PARTNER) % len(heads)]

    return [lambda k=k: pair(k) for k in range(VALIDATION_HEADS)]  # type: ignore[misc]


def stripped_pairs() -> list[Callable[[], Pair]]:
    """Real heads, the fixed one without its skull."""

    def pair(k: int) -> Pair:
        heads = _heads()
        fixed, moving = heads[k], heads[(k + STRIPPED_PARTNER) % len(heads)]
        return Head(fixed.name, fixed.image * (fixed.labels > 0), fixed.labels, fixed.grid), moving

    return [lambda k=k: pair(k) for k in range(0, VALIDATION_HEADS, 2)]  # type: ignore[misc]


def painted_pairs(kind: str) -> list[Callable[[], Pair]]:
    """Two validation anatomies, the fixed one of a kind."""

    def pair(sample: int, k: int) -> Pair:
        anatomies = VALIDATION_ANATOMIES
        fixed = painted_head(kind, anatomies[k], sample)
        other = "painted-stripped" if kind in BOTH_STRIPPED else "painted"
        return fixed, painted_head(other, anatomies[(k + 1) % len(anatomies)], sample + SAMPLES)

    numbers = range(len(VALIDATION_ANATOMIES))
    return [lambda s=s, k=k: pair(s, k) for s in range(SAMPLES) for k in numbers]  # type: ignore[misc]


ROWS: dict[str, Callable[[], list[Callable[[], Pair]]]] = {
    "ixi": ixi_pairs,
    "stripped": stripped_pairs,
    **{kind: lambda kind=kind: painted_pairs(kind) for kind in SCANNERS},  # type: ignore[misc]
}


def painted_head(kind: str, anatomy: int, sample: int) -> Head:
    """Paint a validation anatomy, turned by up to 15 degrees and moved by up to 15 mm, with its labels."""
    rng = np.random.default_rng([anatomy, sample, *kind.encode()])
    codes, grid = load_anatomy(anatomy)
    move = random_turn(rng, 15, 15, grid.center_lps)
    if kind == "elderly":
        codes = with_large_ventricles(codes, float(rng.uniform(*GROWTH)))
    scan = paint(codes, grid, move, SCANNERS[kind], rng)
    image = scan.image
    if kind.endswith("-stripped"):
        inside = (brain_of(codes) | (codes == FLUID_AROUND)).astype(np.float32)
        image = image * (resample(inside, grid, scan.grid, invert(move)) > 0.5)
    labels = np.where(brain_of(codes), codes, 0).astype(np.int16)
    labels = resample(labels, grid, scan.grid, invert(move), interp="nearest")
    return Head(f"{kind}-{anatomy}-{sample}", image, labels, scan.grid)


def with_large_ventricles(codes: Array, share: float) -> Array:
    """Grow the lateral ventricles of a label map by a share of their volume; the brain around them gives way."""
    field = ventricle_growth(to_byte_codes(codes), share)
    step = field.step
    vectors = field.vectors.repeat(step, 0).repeat(step, 1).repeat(step, 2)
    index = []
    for axis, size in enumerate(codes.shape):
        own = np.arange(size).reshape([-1 if a == axis else 1 for a in range(3)])
        index.append(np.clip(np.rint(own + vectors[..., 2 - axis]), 0, size - 1).astype(np.intp))
    grown: Array = codes[tuple(index)]
    return grown


@cache
def _heads() -> list[Head]:
    return load_heads("validation")
