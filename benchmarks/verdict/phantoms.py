"""Images of what is no head, about as large as one: registrations of them must be rejected."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.common.variants import Variant, generator, spoilt
from stnreg.geometry.grid import Grid
from stnreg.simulation.fields import blurred, smooth_field

Array = np.ndarray


def not_a_head(kind: str, number: int) -> Variant:
    """Make an image of something else, about as large as a head: a key of `OTHERS`."""
    rng = generator(kind, number)
    grid = Grid.cube(rng.uniform(-20, 20, 3), 110, 2.0)
    lines = [np.linspace(-110, 110, 110, dtype=np.float32)] * 3
    z, y, x = np.meshgrid(*lines, indexing="ij")
    image = OTHERS[kind](x, y, z, rng)
    return Variant(f"{kind}#{number}", spoilt(blurred(image.astype(np.float32), 0.7), rng), grid, None, np.eye(4))


def _shells(x: Array, y: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return ellipsoids in each other: what a head is to a child."""
    semi = rng.uniform((60, 75, 60), (85, 100, 90))
    radius = np.sqrt((x / semi[0]) ** 2 + (y / semi[1]) ** 2 + (z / semi[2]) ** 2)
    edges, levels = np.sort(rng.uniform(0.2, 1.0, 4)), rng.uniform(0.1, 1.0, 5)
    levels[4] = 0.02
    return levels[np.searchsorted(edges, radius)]


def _box(x: Array, y: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return a box with holes."""
    half = rng.uniform(40, 75, 3)
    inside = (np.abs(x) < half[0]) & (np.abs(y) < half[1]) & (np.abs(z) < half[2])
    for _ in range(8):
        a, b, c = rng.uniform(-1, 1, 3) * half
        inside &= (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 > rng.uniform(5, 25) ** 2
    return np.where(inside, 0.8, 0.02)


def _limb(x: Array, y: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return a limb: skin, muscle, bone with marrow, along one axis."""
    along = int(rng.integers(3))
    p, q = (axis for k, axis in enumerate((x, y, z)) if k != along)
    radius = np.hypot(p, q)
    out = np.where(radius < 75, 1.0, 0.02)
    out[radius < 68] = 0.5
    for side in (-1, 1)[: int(rng.integers(1, 3))]:
        bone = np.hypot(p - side * 25, q)
        out[bone < 20] = 0.1
        out[bone < 14] = 0.8
    return out


def _organ(x: Array, y: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return a lumpy organ in a body wall, with vessels: smooth random shapes."""
    lumps = smooth_field(x.shape, 7, rng)
    body = (x / 105) ** 2 + (y / 80) ** 2 < 1
    out = np.where(body, 0.4, 0.02)
    out[body & (lumps > 0.3)] = 0.75
    out[body & (np.abs(smooth_field(x.shape, 12, rng)) < 0.08)] = 1.0
    return out


def _fog(x: Array, y: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return nothing but smooth noise."""
    return np.abs(smooth_field(x.shape, int(rng.integers(4, 40)), rng))


OTHERS: Mapping[str, Callable[[Array, Array, Array, np.random.Generator], Array]] = {
    "shells": _shells,
    "box": _box,
    "limb": _limb,
    "organ": _organ,
    "fog": _fog,
}
