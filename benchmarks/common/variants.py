"""What can have happened to a head before it was scanned again: moved, cut, stripped, noisy, mirrored.

A `Variant` keeps the head it was made of and the true map from it, so that any two variants of one head, or of two,
have a truth. All of them are made of real scans and their labels; the brain is where a label is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from benchmarks.common.heads import Head, brain_points, random_turn
from stnreg.geometry.affine import apply_affine, compose, invert, random_affine
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample
from stnreg.simulation.fields import blurred, smooth_field

Array = np.ndarray
Change = Callable[[Array, Head, np.random.Generator], Array]
NOISE = (0.03, 0.06)  # of white matter, when nothing else is said
STRONG_NOISE = 0.18
BIAS = 0.3
HOLE_MM, OFFSET_MM = 50.0, 120.0


@dataclass(frozen=True, eq=False)
class Variant:
    """An image made of a head.

    Attributes
    ----------
    name : str
        Of the head and of what happened, `IXI013:half`.
    image : (z, y, x) float32
    grid : Grid
    head : Head or None
        None where the image shows no head.
    head_to_image : (4, 4) float64
        LPS mm; mirrors where the image is mirrored.
    """

    name: str
    image: Array
    grid: Grid
    head: Head | None
    head_to_image: Array


def generator(*words: object) -> np.random.Generator:
    """Return the random numbers that belong to these words, the same in every run."""
    return np.random.default_rng([crc32(str(word).encode()) for word in words])


def make(head: Head, kind: str, number: int = 0) -> Variant:
    """Make a variant of that kind: a key of `KINDS`; another one for each number."""
    rng = generator(head.name, kind, *([number] if number else []))
    return KINDS[kind](f"{head.name}:{kind}", head, rng)


def spoilt(image: Array, rng: np.random.Generator, noise: float | None = None) -> Array:
    """Give an image its own noise and texture, shares of its bright tissue, and a bias field of +-30 %."""
    top = float(np.percentile(image[image > 0], 90))
    noise = float(rng.uniform(*NOISE)) if noise is None else noise
    field = smooth_field(image.shape, 4, rng)
    field *= np.log(1 + BIAS) / np.abs(field).max()
    texture = smooth_field(image.shape, tuple(max(n // 2, 2) for n in image.shape), rng)
    image = image * np.exp(field) * (1 + 0.03 * texture)
    real, other = (top * noise * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, other).astype(np.float32)


def moved_grid(grid: Grid, move: Array, spacing_mm: float) -> Grid:
    """Return an upright grid that holds all of a grid that was moved."""
    corners = apply_affine(move, grid.corners_lps())
    low, high = corners.min(0), corners.max(0)
    size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    return Grid.from_parts(size, (spacing_mm,) * 3, low)


def _rigid(head: Head, rng: np.random.Generator, angle_deg: float = 30.0) -> Array:
    return random_turn(rng, angle_deg, 30, head.grid.center_lps)


def _moved(name: str, head: Head, move: Array, image: Array, rng: np.random.Generator, noise: float | None = None):
    """Scan a changed head that was moved, on an upright grid that holds it all."""
    grid = moved_grid(head.grid, move, 2.0)
    seen = resample(image, head.grid, grid, invert(move))
    return Variant(name, spoilt(seen, rng, noise), grid, head, move)


def _whole(name: str, head: Head, rng: np.random.Generator) -> Variant:
    return Variant(name, head.image, head.grid, head, np.eye(4))


def _rescanned(noise: float | None):
    def build(name: str, head: Head, rng: np.random.Generator) -> Variant:
        return Variant(name, spoilt(head.image, rng, noise), head.grid, head, np.eye(4))

    return build


def _affine(angle_deg: float):
    def build(name: str, head: Head, rng: np.random.Generator) -> Variant:
        center = head.grid.center_lps
        shape = random_affine(rng, center_lps=center, translation_mm=0, rotation_deg=0, scale=1.15, shear=0.1)
        return _moved(name, head, compose(_rigid(head, rng, angle_deg), shape), head.image, rng)

    return build


def _changed(change: Change, noise: float | None = None):
    def build(name: str, head: Head, rng: np.random.Generator) -> Variant:
        return _moved(name, head, _rigid(head, rng), change(head.image, head, rng), rng, noise)

    return build


def stripped(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Keep the brain alone."""
    return np.where(head.labels > 0, image, 0).astype(np.float32)


def with_hole(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Cut a ball of 50 mm out, somewhere about the edge of the brain."""
    index = np.argwhere(head.labels > 0)
    center = index[rng.integers(len(index))]
    spacing = head.grid.spacing[::-1]
    lines = [(np.arange(n) - c) * s for n, c, s in zip(image.shape, center, spacing, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij", sparse=True)
    return np.where(x**2 + y**2 + z**2 < (HOLE_MM / 2) ** 2, 0, image).astype(np.float32)


def as_t2(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Turn the order of the tissues round: bright fluid, dark white matter; scalp and fat dimmed.

    Real anatomy and texture, another contrast. Between skull and scalp the map stays as it was, since dark bone and
    dark fluid cannot be told apart there.
    """
    brain = blurred((head.labels > 0).astype(np.float32), 1.5)
    near = brain > 0.25
    low, high = np.percentile(image[head.labels > 0], (1, 99))
    share = ((image - low) / (high - low)).clip(-0.2, 1.2)
    points = np.array([-0.2, 0.0, 0.45, 0.75, 1.2])  # fluid, gray, white matter of T1
    values = np.array([1.0, 1.0, 0.65, 0.42, 0.35]) * (1 + 0.05 * rng.standard_normal(5))
    inside = np.interp(share, points, values).astype(np.float32)
    outside = 0.55 * (image / high).clip(0, 1.3)
    return np.where(near, inside, outside).astype(np.float32)


def no_brain(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Leave face, skull and neck, the brain gone dark."""
    return np.where(blurred((head.labels > 0).astype(np.float32), 2.0) > 0.1, 0, image).astype(np.float32)


def _half(name: str, head: Head, rng: np.random.Generator) -> Variant:
    """Leave the field of view on one side of the middle of the brain, across one axis of the scanner."""
    whole = _moved(name, head, _rigid(head, rng), head.image, rng)
    axis, below = int(rng.integers(3)), rng.random() < 0.5
    low, high = _extent(whole, axis)
    middle = (low + high) / 2
    return _cut(whole, axis, -np.inf if below else middle, middle if below else np.inf)


def _slab(name: str, head: Head, rng: np.random.Generator) -> Variant:
    """Leave a slab of 30 % of the brain's extent, across one axis of the scanner."""
    whole = _moved(name, head, _rigid(head, rng), head.image, rng)
    axis = int(rng.integers(3))
    low, high = _extent(whole, axis)
    first = low + 0.7 * (high - low) * rng.uniform()
    return _cut(whole, axis, first, first + 0.3 * (high - low))


def _extent(variant: Variant, axis: int) -> tuple[float, float]:
    """Return the first and last voxel of the brain along an axis."""
    assert variant.head is not None
    index = apply_affine(variant.grid.lps_to_index @ variant.head_to_image, brain_points(variant.head))
    low, high = np.percentile(index[:, axis], (0.5, 99.5))
    return float(low), float(high)


def _cut(whole: Variant, axis: int, first: float, last: float) -> Variant:
    """Keep the voxels from `first` to `last` along an axis, x, y or z."""
    size = whole.grid.size[axis]
    a, b = int(np.clip(np.ceil(first), 0, size - 8)), int(np.clip(np.floor(last), 8, size))
    return _part(whole, axis, slice(a, b))


def _part(whole: Variant, axis: int, kept: slice) -> Variant:
    part = [slice(None)] * 3
    part[2 - axis] = kept
    shift = np.eye(4)
    shift[axis, 3] = kept.start
    image = np.ascontiguousarray(whole.image[tuple(part)])
    return replace(whole, image=image, grid=Grid(image.shape[::-1], whole.grid.index_to_lps @ shift))


def _mirrored(name: str, head: Head, rng: np.random.Generator) -> Variant:
    """Scan the head moved, and store it with one axis the wrong way round under an unchanged header."""
    whole = _moved(name, head, _rigid(head, rng, 15), head.image, rng)
    mirror = np.diag([-1.0, 1, 1, 1])
    mirror[0, 3] = whole.grid.size[0] - 1
    flip = whole.grid.index_to_lps @ mirror @ whole.grid.lps_to_index
    return Variant(name, np.ascontiguousarray(whole.image[:, :, ::-1]), whole.grid, head, flip @ whole.head_to_image)


def _offset(name: str, head: Head, rng: np.random.Generator) -> Variant:
    """Scan the head moved, under a header whose origin is 120 mm off."""
    whole = _moved(name, head, _rigid(head, rng), head.image, rng)
    direction = rng.standard_normal(3)
    away = np.eye(4)
    away[:3, 3] = OFFSET_MM * direction / np.linalg.norm(direction)
    return Variant(
        name, whole.image, Grid(whole.grid.size, away @ whole.grid.index_to_lps), head, away @ whole.head_to_image
    )


def _headless(name: str, head: Head, rng: np.random.Generator) -> Variant:
    changed = _moved(name, head, _rigid(head, rng, 15), no_brain(head.image, head, rng), rng)
    return Variant(name, changed.image, changed.grid, None, changed.head_to_image)


def _neck(name: str, head: Head, rng: np.random.Generator) -> Variant:
    """Keep what lies below the brain: jaw and neck."""
    points = brain_points(head)
    lowest = apply_affine(head.grid.lps_to_index, points[points[:, 2].argmin()])
    axis = int(np.argmax(np.abs(head.grid.direction[2])))  # the voxel axis that runs up
    size = head.grid.size[axis]
    edge = int(np.clip(round(lowest[axis]), 12, size - 12))
    kept = slice(0, edge) if head.grid.direction[2, axis] > 0 else slice(edge, size)
    return replace(_part(Variant(name, spoilt(head.image, rng), head.grid, head, np.eye(4)), axis, kept), head=None)


KINDS: Mapping[str, Callable[[str, Head, np.random.Generator], Variant]] = {
    "whole": _whole,
    "rescanned": _rescanned(None),
    "rescanned, noisy": _rescanned(STRONG_NOISE),
    "moved": _affine(30),
    "turned": _affine(180),
    "stripped": _changed(stripped),
    "half": _half,
    "slab": _slab,
    "noisy": _changed(lambda image, head, rng: image, STRONG_NOISE),
    "hole": _changed(with_hole),
    "t2": _changed(as_t2),
    "offset": _offset,
    "mirrored": _mirrored,
    "no brain": _headless,
    "neck": _neck,
}
