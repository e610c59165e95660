"""Pairs of damaged cubes: one cube with cracks and holes, transformed, with further damage in each image.

Cubes are analytic, so both images are exact: nothing is resampled. Lengths are mm. Points are in the space of the
cube, its centre at 0, unless a name says otherwise.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.simulation.fields import smooth_field
from stnreg.simulation.moves import Ranges, random_move
from stnreg.simulation.pair import Plan, SimulatedPair

SIZE = 128
SOLID, HOLE, CRACK = 1, 2, 3
BRIGHTNESS = 180.0  # of the solid; the maximum is 255

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Hole:
    """A spherical hole."""

    center: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Crack:
    """A wavy slab that is removed: it enters along `along` from one side and ends at `end`."""

    normal: tuple[float, float, float]
    along: tuple[float, float, float]
    offset: float
    end: float
    width: float
    wave: float
    waves_per_mm: float


@dataclass(frozen=True)
class Cube:
    """Half the edge, damage, and brightness gradient of a cube."""

    half: float
    holes: tuple[Hole, ...]
    cracks: tuple[Crack, ...]
    slope: tuple[float, float, float]


@dataclass(frozen=True)
class CubeRecipe:
    """Pairs of cubes.

    Attributes
    ----------
    ranges : Ranges
        Ranges of the transform, about the centre of the image.
    size : int
        Voxels per side, of 128 / size mm.
    """

    ranges: Ranges
    size: int = SIZE
    images: tuple[str, ...] = field(default=("fixed", "moving", "fixed_labels", "moving_labels"), init=False)

    def plan(self, split: str, number: int, rng: np.random.Generator) -> Plan:
        """Return the plan: each cube is its own subject."""
        return Plan({"subject": f"{split}-{number:04d}"})

    def paint(self, plan: Plan, rng: np.random.Generator) -> SimulatedPair:
        """Paint the cube upright, and transformed."""
        grid = Grid.cube((0, 0, 0), self.size, SIZE / self.size)
        cube = random_cube(rng)
        fixed_to_moving = random_move(self.ranges, (0, 0, 0), rng)
        made = [paint_cube(add_damage(cube, rng), pose, grid, rng) for pose in (np.eye(4), fixed_to_moving)]
        (fixed, fixed_labels), (moving, moving_labels) = made
        return SimulatedPair(fixed, moving, fixed_to_moving, fixed_labels, moving_labels)


def random_cube(rng: np.random.Generator) -> Cube:
    """Draw a cube with three to five holes and two or three cracks."""
    half = rng.uniform(24, 31)
    holes = tuple(_random_hole(half, rng) for _ in range(rng.integers(3, 6)))
    cracks = tuple(_random_crack(half, rng) for _ in range(rng.integers(2, 4)))
    x, y, z = rng.uniform(-0.2, 0.2, 3) / half
    return Cube(half, holes, cracks, (x, y, z))


def add_damage(cube: Cube, rng: np.random.Generator) -> Cube:
    """Add damage that the other image does not have: one hole, and in half of the cases a crack."""
    holes = (*cube.holes, _random_hole(cube.half, rng))
    crack = _random_crack(cube.half, rng)
    return Cube(cube.half, holes, (*cube.cracks, crack) if rng.random() < 0.5 else cube.cracks, cube.slope)


def paint_cube(cube: Cube, pose: Matrix, grid: Grid, rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Paint a cube transformed by `pose` (LPS mm), with noise and a bias field; return it and its labels.

    Labels are 1 the solid, 2 holes, 3 cracks. Voxels at surfaces have partial volume.
    """
    cube_to_index = compose(grid.lps_to_index, pose)
    part, points = _points_around(cube, cube_to_index, grid)
    voxel = float(grid.spacing[0])
    inside = cube.half - np.maximum(np.maximum(np.abs(points[0]), np.abs(points[1])), np.abs(points[2]))
    in_hole = np.full(inside.shape, -np.inf, np.float32)
    for hole in cube.holes:
        away = sum((p - np.float32(c)) ** 2 for p, c in zip(points, hole.center, strict=True))
        np.maximum(in_hole, np.float32(hole.radius) - np.sqrt(away), out=in_hole)
    in_crack = np.full(inside.shape, -np.inf, np.float32)
    for crack in cube.cracks:
        np.maximum(in_crack, _depth_in(crack, points), out=in_crack)
    solid = np.minimum(inside, -np.maximum(in_hole, in_crack))
    share = np.clip(solid / voxel + 0.5, 0, 1)
    brightness = 1 + sum(np.float32(s) * p for s, p in zip(cube.slope, points, strict=True))
    image = np.zeros(grid.shape, np.float32)
    image[part] = BRIGHTNESS * share * brightness
    image *= np.exp(rng.uniform(0.02, 0.1) * smooth_field(grid.shape, 4, rng))
    image += rng.uniform(3, 8) * rng.standard_normal(grid.shape, dtype=np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    labels[part] = np.where(inside > 0, np.where(in_crack > 0, CRACK, np.where(in_hole > 0, HOLE, SOLID)), 0)
    return Volume(np.abs(image).clip(0, 255).astype(np.uint8), grid), Volume(labels, grid)


def _points_around(
    cube: Cube, cube_to_index: Matrix, grid: Grid
) -> tuple[tuple[slice, slice, slice], tuple[Array, Array, Array]]:
    """Return the bounding box of the cube in the grid, and the coordinates (x, y, z) of its voxels in the cube."""
    corners = apply_affine(cube_to_index, np.array(list(product((-cube.half, cube.half), repeat=3))))
    low = np.clip(np.floor(corners.min(0)) - 1, 0, grid.size).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + 2, low, grid.size).astype(int)
    x, y, z = (np.arange(a, b, dtype=np.float32) for a, b in zip(low, high, strict=True))
    m = invert(cube_to_index).astype(np.float32)
    px, py, pz = ((m[k, 0] * x + m[k, 3]) + (m[k, 1] * y)[:, None] + (m[k, 2] * z)[:, None, None] for k in range(3))
    sx, sy, sz = (slice(a, b) for a, b in zip(low, high, strict=True))
    return (sz, sy, sx), (px, py, pz)


def _depth_in(crack: Crack, points: tuple[Array, Array, Array]) -> Array:
    """Return the depth of points in a crack, mm; negative outside."""
    across = sum(np.float32(n) * p for n, p in zip(crack.normal, points, strict=True))
    ahead = sum(np.float32(a) * p for a, p in zip(crack.along, points, strict=True))
    middle = np.float32(crack.offset) + np.float32(crack.wave) * np.sin(ahead * np.float32(crack.waves_per_mm))
    return np.minimum(np.float32(crack.width / 2) - np.abs(across - middle), np.float32(crack.end) - ahead)


def _random_hole(half: float, rng: np.random.Generator) -> Hole:
    x, y, z = rng.uniform(-half, half, 3)
    return Hole((x, y, z), rng.uniform(3.0, 8.0))


def _random_crack(half: float, rng: np.random.Generator) -> Crack:
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)
    along = np.cross(normal, rng.standard_normal(3))
    along /= np.linalg.norm(along)
    return Crack(
        (normal[0], normal[1], normal[2]),
        (along[0], along[1], along[2]),
        offset=rng.uniform(-0.7, 0.7) * half,
        end=rng.uniform(-0.5, 0.5) * half,
        width=rng.uniform(1.5, 4.0),
        wave=rng.uniform(0.5, 3.0),
        waves_per_mm=rng.uniform(0.1, 0.4),
    )
