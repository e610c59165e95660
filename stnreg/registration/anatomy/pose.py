"""The first look: where the head is and which way it is turned, whatever its rotation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import TypeVar

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.maps import MapNetwork, centroids_of, fit_template, maps_grid, network_input, voxel_mm3

Array = np.ndarray
Found = TypeVar("Found")
SURE_MM = 4.5  # a pose whose structures lie this near to where they should is believed at once
LIKELY = 12  # poses that are followed where none of the looks was believed, of 24
SAME_MM = 12.0  # poses nearer to each other than this lead to the same place
CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))  # of a cube, (8, 3)
UPRIGHT_DEG = 20.0  # a head turned by more than this is looked at again, upright
CENTER_MM = 25.0  # and so is one this far from the middle of the cube,
CLEAR_MM = 2.5  # unless its structures lie this near to where they should: whole heads leave about 2


def field_center(array: Array, grid: Grid, extent_mm: Array) -> Array:
    """Return where to put the cube: the field's middle, or near the foreground's where the field is larger."""
    threshold = 0.2 * np.percentile(array, 99)
    weight = np.maximum(array - threshold, 0)
    total = weight.sum() or 1.0
    marginals = [weight.sum(axis=axes) for axes in ((0, 1), (0, 2), (1, 2))]  # along x, y, z
    middle = (np.array(grid.size) - 1) / 2
    mass = np.array([m @ np.arange(len(m)) for m in marginals]) / total
    slack = np.maximum((np.array(grid.size) * grid.spacing - extent_mm) / 2, 0) / grid.spacing
    return apply_affine(grid.index_to_lps, middle + np.clip(mass - middle, -slack, slack))


@dataclass(frozen=True)
class _Look:
    """What the pose network made of one look: a pose, and how well its structures lie where they should."""

    template_to_lps: Array
    fit_residual_mm: float
    pose_uncertainty: float  # the misfit over how sharp the maps are; lower is better


def find_poses(array: Array, grid: Grid, center_lps: Array, network: MapNetwork) -> Iterator[Array]:
    """Give template_to_lps, the likeliest first, from the pose network's looks at cubes around `center_lps`.

    One look is enough for a head that is about upright. Where the structures that it finds do not lie as they
    should, or the caller was not content with what came of it and asks for more, the cube is turned on its other
    faces, and the likeliest poses are looked at again, upright.
    """
    cube = Grid.cube(center_lps, network.size, network.spacing_mm)
    seen = network_input(array, grid, cube)
    first = _look(seen, cube, network)
    if first.fit_residual_mm <= SURE_MM:
        if _angle_deg(first.template_to_lps) > UPRIGHT_DEG or _is_aside(first, center_lps):
            first = min([first, _pose_upright(array, grid, first, network)], key=lambda k: k.pose_uncertainty)
        yield first.template_to_lps
    looks = [first]
    for turn in CUBE_TURNS[1:]:
        turned = Grid.cube(center_lps, network.size, network.spacing_mm, turn)
        looks.append(_look(permuted(seen, turn), turned, network))
        if looks[-1].fit_residual_mm <= SURE_MM:
            again = min([looks[-1], _pose_upright(array, grid, looks[-1], network)], key=lambda k: k.pose_uncertainty)
            yield again.template_to_lps
    upright = np.eye(4)
    upright[:3, 3] = center_lps
    uprights = sorted((_pose_upright(array, grid, k, network) for k in looks), key=lambda k: k.pose_uncertainty)
    yield from distinct([*(look.template_to_lps for look in uprights[:LIKELY]), upright], lambda pose: pose)


def distinct(found: Iterable[Found], pose_of: Callable[[Found], Array]) -> Iterator[Found]:
    """Leave out what puts the brain where an earlier one does, by its template_to_lps."""
    kept: list[Array] = []
    for one in found:
        pose = pose_of(one)
        if all(brain_shift_mm(pose, other) > SAME_MM for other in kept):
            kept.append(pose)
            yield one


def brain_shift_mm(a_to_lps: Array, b_to_lps: Array) -> float:
    """Return how far two template_to_lps put the outline of the brain apart, mm (mean of 8 points)."""
    corners = 55.0 * CORNERS
    return float(np.linalg.norm(apply_affine(a_to_lps, corners) - apply_affine(b_to_lps, corners), axis=1).mean())


def _look(seen: Array, cube: Grid, network: MapNetwork) -> _Look:
    maps = network.run(seen)
    centroids, confidence, mass = centroids_of(maps)
    where = maps_grid(cube)
    centroids = apply_affine(where.index_to_lps, centroids)
    template_to_lps, _, fit_residual_mm = fit_template(network, centroids, confidence, mass * voxel_mm3(where))
    found = confidence[~np.isnan(centroids[:, 0])]
    return _Look(
        template_to_lps, fit_residual_mm, fit_residual_mm / max(float(found.mean()) if len(found) else 0.0, 1e-3)
    )


def _pose_upright(array: Array, grid: Grid, look: _Look, network: MapNetwork) -> _Look:
    """Look once more, at a cube that is turned and placed as the first look says the head is."""
    linear = look.template_to_lps[:3, :3]
    upright = linear / np.cbrt(np.linalg.det(linear))
    cube = Grid.cube(look.template_to_lps[:3, 3], network.size, network.spacing_mm, upright)
    return _look(network_input(array, grid, cube), cube, network)


def _is_aside(look: _Look, center_lps: Array) -> bool:
    """Tell whether the head was far from the middle of the cube, and its structures not clear for all that."""
    distance_mm = np.linalg.norm(look.template_to_lps[:3, 3] - center_lps)
    return bool(distance_mm > CENTER_MM and look.fit_residual_mm > CLEAR_MM)


def _angle_deg(template_to_lps: Array) -> float:
    """Return the angle of the rotation in a similarity."""
    linear = template_to_lps[:3, :3]
    trace = np.trace(linear) / np.cbrt(np.linalg.det(linear))
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def _cube_turns() -> tuple[Array, ...]:
    """Return the 24 rotations of a cube as (3, 3) signed permutations, the mildest first."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.eye(3)[:, order] * signs
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return tuple(sorted(turns, key=lambda t: -np.trace(t)))


def permuted(cube: Array, turn: Array) -> Array:
    """Return a cube's voxels as they lie on its turned self: voxel axis k of the result runs along `turn[:, k]`."""
    axes = np.abs(turn).argmax(0)  # x, y, z of the result are these of the cube
    signs = turn.sum(0)
    out = np.transpose(cube, [2 - axes[2 - k] for k in range(3)])
    flips = [k for k in range(3) if signs[2 - k] < 0]
    return np.flip(out, flips) if flips else out


CUBE_TURNS = _cube_turns()
