"""Estimate the pose of a head: position and rotation, any rotation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, permutations, product
from typing import TypeVar

import numpy as np

from stnreg.core.threads import map_threads
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import PoseCalibration
from stnreg.registration.anatomy.maps import (
    PoseNetwork,
    brightened,
    brightening,
    centroids_of,
    fit_template,
    maps_grid,
    network_input,
    voxel_mm3,
)

Array = np.ndarray
Found = TypeVar("Found")
TURNS = 12  # rotations of the cube that are tried, of 24
LIKELY = 5  # candidate poses that are estimated again from an upright cube, of those
HEAD_TURNS = 4  # rotations that tell whether there is a head, and whether its pose is plain
AGREEING = 3  # the most certain poses of those; all but one lie in one place if the pose is plain
WHOLE_FIELD_ML = 2000.0  # a box about a brain: a smaller field of view can show no more than its share of one
CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))  # of a cube, (8, 3)


def field_center(array: Array, grid: Grid, extent_mm: Array) -> Array:
    """Return the centre of the cube: that of the field of view, moved towards the foreground if that is larger."""
    threshold = 0.2 * np.percentile(array, 99)
    weight = np.maximum(array - threshold, 0)
    total = weight.sum() or 1.0
    marginals = [weight.sum(axis=axes) for axes in ((0, 1), (0, 2), (1, 2))]  # along x, y, z
    middle = (np.array(grid.size) - 1) / 2
    mass = np.array([m @ np.arange(len(m)) for m in marginals]) / total
    slack = np.maximum((np.array(grid.size) * grid.spacing - extent_mm) / 2, 0) / grid.spacing
    return apply_affine(grid.index_to_lps, middle + np.clip(mass - middle, -slack, slack))


class NoHead(Exception):
    """An image shows nothing like a head."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A candidate pose, and the residual of its fit to the template; one equals itself alone."""

    template_to_lps: Array
    fit_residual_mm: float
    pose_uncertainty: float  # residual over sharpness of the maps; lower is better
    certain_ml: float = np.inf  # volume of the structures times their sharpness


@dataclass(frozen=True)
class FoundPose:
    """A pose to encode an image from.

    Attributes
    ----------
    template_to_lps : (4, 4) float64
        Similarity.
    is_agreed : bool
        Whether most of the first rotations of the cube lead to it. Then it is right even if the head has not quite the
        shape of the template: a tumour, a resection, a head of another age.
    """

    template_to_lps: Array
    is_agreed: bool = False


def find_poses(
    array: Array, grid: Grid, center_lps: Array, network: PoseNetwork, threads: int = 1
) -> Iterator[Sequence[FoundPose]]:
    """Yield candidate poses, most likely first, from the pose network on cubes around `center_lps`.

    They come in groups: those of one group are found together.

    One cube suffices for a head that is about upright. If its structures do not fit the template, or the caller asks
    for more, other rotations of the cube are tried. Of the first four, the most certain is the next pose if its
    structures fit clearly, and the one that the best of them agree on is another. Then `TURNS` of them are tried, and
    the most likely poses are estimated again from an upright cube. So the number of runs of the network is bounded.
    Runs that do not depend on one another are divided among `threads`.

    Raises
    ------
    NoHead
        If the network finds nothing like a brain. In a cube or a phantom it finds few structures, and none of them
        clearly. A quarter of a head is enough to pass, and so is a head without a brain: what passes is judged by its
        structures.
    """
    limits = network.pose_calibration
    cube = Grid.cube(center_lps, network.size, network.spacing_mm)
    scan = network_input(array, grid, cube)
    maps = network.run(scan)
    factor = brightening(scan, maps)
    if factor != 1.0:
        scan = brightened(scan, factor)
        maps = network.run(scan)

    @cache  # the first candidates are among the most likely ones again
    def upright(pose: _Candidate) -> _Candidate:
        return _more_certain(pose, _pose_upright(array, grid, pose, network, factor))

    def in_turned_cube(turn: Array) -> _Candidate:
        return _pose_in(permuted(scan, turn), Grid.cube(center_lps, network.size, network.spacing_mm, turn), network)

    first = _pose_of(maps, cube, network)
    found = [first]
    field_ml = float(np.prod(np.array(grid.size) * grid.spacing)) / 1000
    least_ml = limits.no_head_ml * min(field_ml / WHOLE_FIELD_ML, 1.0)
    if first.certain_ml <= least_ml:
        found += map_threads(in_turned_cube, CUBE_TURNS[1:HEAD_TURNS], threads=threads)
        if all(one.certain_ml <= least_ml for one in found):
            raise NoHead
    if first.fit_residual_mm <= limits.accept_mm:
        if first.fit_residual_mm > limits.clear_mm and _is_far(first, center_lps, limits):
            first = upright(first)
        yield [FoundPose(first.template_to_lps)]
    found[0] = first
    found += map_threads(in_turned_cube, CUBE_TURNS[len(found) : HEAD_TURNS], threads=threads)
    best = sorted(found, key=lambda pose: pose.pose_uncertainty)[:AGREEING]
    again = sorted(map_threads(upright, best, threads=threads), key=lambda pose: pose.pose_uncertainty)
    agreed = _agreed(again, limits.same_pose_mm)
    if again[0] is not agreed and again[0].fit_residual_mm <= limits.clear_mm:
        yield [FoundPose(again[0].template_to_lps)]  # two others can agree in a wrong place
    if agreed is not None:
        yield [FoundPose(agreed.template_to_lps, is_agreed=True)]
    found += map_threads(in_turned_cube, CUBE_TURNS[len(found) : TURNS], threads=threads)
    ranked = sorted(found, key=lambda pose: pose.pose_uncertainty)
    likely = list(islice(distinct(ranked, lambda pose: pose.template_to_lps, limits.same_pose_mm), LIKELY))
    uprights = sorted(map_threads(upright, likely, threads=threads), key=lambda pose: pose.pose_uncertainty)
    straight = np.eye(4)
    straight[:3, 3] = center_lps
    poses = [*(pose.template_to_lps for pose in uprights), straight]
    yield [FoundPose(pose) for pose in distinct(poses, lambda pose: pose, limits.same_pose_mm)]


def _agreed(found: list[_Candidate], same_pose_mm: float) -> _Candidate | None:
    """Return the most certain of the candidates that lie in one place, if they are all but one of them; else None."""
    for pose in sorted(found, key=lambda one: one.pose_uncertainty):
        near = [brain_shift_mm(pose.template_to_lps, other.template_to_lps) <= same_pose_mm for other in found]
        if sum(near) >= len(found) - 1:
            return pose
    return None


def certain_volumes_ml(array: Array, grid: Grid, center_lps: Array, network: PoseNetwork) -> list[float]:
    """Return the volume of the structures times their sharpness in the first rotations, ml: small without a head."""
    scan = network_input(array, grid, Grid.cube(center_lps, network.size, network.spacing_mm))
    return [
        _pose_in(
            permuted(scan, turn), Grid.cube(center_lps, network.size, network.spacing_mm, turn), network
        ).certain_ml
        for turn in CUBE_TURNS[:HEAD_TURNS]
    ]


def _more_certain(a: _Candidate, b: _Candidate) -> _Candidate:
    return min(a, b, key=lambda pose: pose.pose_uncertainty)


def distinct(found: Iterable[Found], pose_of: Callable[[Found], Array], same_pose_mm: float) -> Iterator[Found]:
    """Drop items whose template_to_lps equals an earlier one to `same_pose_mm`."""
    kept: list[Array] = []
    for one in found:
        pose = pose_of(one)
        if all(brain_shift_mm(pose, other) > same_pose_mm for other in kept):
            kept.append(pose)
            yield one


def brain_shift_mm(a_to_lps: Array, b_to_lps: Array) -> float:
    """Return the mean distance of 8 points at the outline of the brain under two template_to_lps, mm."""
    corners = 55.0 * CORNERS
    return float(np.linalg.norm(apply_affine(a_to_lps, corners) - apply_affine(b_to_lps, corners), axis=1).mean())


def _pose_in(scan: Array, cube: Grid, network: PoseNetwork) -> _Candidate:
    return _pose_of(network.run(scan), cube, network)


def _pose_of(maps: Array, cube: Grid, network: PoseNetwork) -> _Candidate:
    centroids, confidence, mass = centroids_of(maps)
    where = maps_grid(cube)
    centroids = apply_affine(where.index_to_lps, centroids)
    template_to_lps, _, fit_residual_mm = fit_template(network, centroids, confidence, mass * voxel_mm3(where))
    found = confidence[~np.isnan(centroids[:, 0])]
    sharpness = max(float(found.mean()) if len(found) else 0.0, 1e-3)
    certain_ml = float(mass[1:].sum()) * voxel_mm3(where) / 1000 * sharpness
    return _Candidate(template_to_lps, fit_residual_mm, fit_residual_mm / sharpness, certain_ml)


def _pose_upright(array: Array, grid: Grid, pose: _Candidate, network: PoseNetwork, factor: float) -> _Candidate:
    """Estimate the pose again in a cube that is rotated and centred by a first estimate."""
    linear = pose.template_to_lps[:3, :3]
    upright = linear / np.cbrt(np.linalg.det(linear))
    cube = Grid.cube(pose.template_to_lps[:3, 3], network.size, network.spacing_mm, upright)
    return _pose_in(brightened(network_input(array, grid, cube), factor), cube, network)


def _is_far(pose: _Candidate, center_lps: Array, limits: PoseCalibration) -> bool:
    """Return whether the head is turned, or far from the centre of the cube."""
    distance_mm = np.linalg.norm(pose.template_to_lps[:3, 3] - center_lps)
    return bool(_angle_deg(pose.template_to_lps) > limits.upright_deg or distance_mm > limits.center_mm)


def _angle_deg(template_to_lps: Array) -> float:
    """Return the angle of the rotation in a similarity."""
    linear = template_to_lps[:3, :3]
    trace = np.trace(linear) / np.cbrt(np.linalg.det(linear))
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def _cube_turns() -> tuple[Array, ...]:
    """Return the 24 rotations of a cube as (3, 3) signed permutations, smallest angle first."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.eye(3)[:, order] * signs
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return tuple(sorted(turns, key=lambda t: -np.trace(t)))


def permuted(cube: Array, turn: Array) -> Array:
    """Rotate the voxels of a cube: voxel axis k of the result runs along `turn[:, k]` of the cube."""
    axes = np.abs(turn).argmax(0)  # x, y, z of the result are these of the cube
    signs = turn.sum(0)
    out = np.transpose(cube, [2 - axes[2 - k] for k in range(3)])
    flips = [k for k in range(3) if signs[2 - k] < 0]
    return np.flip(out, flips) if flips else out


CUBE_TURNS = _cube_turns()
