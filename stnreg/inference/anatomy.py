"""From one scan to its pose, its structures and its brain; from two, to an affine. Onnxruntime and numpy.

An image is looked at twice. The pose network sees a 256 mm cube in any rotation and finds the head; the fine
network sees the brain turned upright and scaled to the template. Each gives soft maps of structures, whose
centroids are fitted by closed-form least squares. What was found in one image (`Encoding`) can be kept and used
with any other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.fitting import fit_affine, fit_similarity
from stnreg.geometry.grid import Grid
from stnreg.geometry.lie import geodesic_mean
from stnreg.preprocess.intensity import percentile
from stnreg.preprocess.resample import resample
from stnreg.preprocess.shrink import block_mean

Array = np.ndarray
MIN_MASS_VOXELS = 0.3  # of map voxels: less of a structure than this is not a centroid
RECENTER_MM = 25.0  # the pose is sought again where the head was this far from the middle of the cube
SURE_MM = 7.0  # a pose whose structures lie this near to where they should is believed at once
REPEAT_MM = 8.0  # the fine pass is repeated where it moved the brain by more than this
MAX_FINE_PASSES = 3
SMALLEST_HEAD, LARGEST_HEAD = 0.55, 1.6  # of the template; outside, the scale is not believed


@dataclass(frozen=True)
class MapNetwork:
    """One network that maps structures, and what is needed to use it.

    Parameters
    ----------
    run : callable
        (size, size, size) float32 in, (maps, size/2, size/2, size/2) float32 shares out.
    size, spacing_mm : int, float
        Its input cube; for the fine network the spacing is in millimetres of the template.
    template : (maps, 3) float64
        Mean centroids, template LPS mm; NaN for the background.
    spread_mm : (maps,) float64
        How far, on validation scans, a centroid lies from where an affine puts it: the worth of a structure.
    """

    run: Callable[[Array], Array]
    size: int
    spacing_mm: float
    template: Array
    spread_mm: Array


@dataclass(frozen=True)
class AnatomyModel:
    """The two networks."""

    pose: MapNetwork
    fine: MapNetwork


@dataclass(frozen=True)
class Encoding:
    """What the networks found in one image.

    Parameters
    ----------
    centroids_lps : (structures, 3) float64
        mm; NaN where a structure was not found.
    weights : (structures,) float64
        How sure each centroid is, 0 to 1, times the worth of its structure.
    maps : (structures, D, D, D) float32
        Share of each structure, background first.
    maps_grid : Grid
        Where the maps lie; turned with the head.
    template_to_lps : (4, 4) float64
        Similarity from the template to the image.
    residual_mm : float
        Weighted root mean square distance of the centroids from where the similarity puts the template's.
    """

    centroids_lps: Array
    weights: Array
    maps: Array
    maps_grid: Grid
    template_to_lps: Array
    residual_mm: float

    @property
    def brain(self) -> Array:
        """Share of brain (ventricles included) in each voxel of `maps_grid`, (D, D, D) float32."""
        return 1.0 - self.maps[0]


def encode(array: Array, grid: Grid, model: AnatomyModel) -> Encoding:
    """Find pose, structures and brain of one image, in any rotation.

    Parameters
    ----------
    array : (z, y, x) ndarray
        Intensities, any scale.
    grid : Grid
        Where they lie.
    model : AnatomyModel
    """
    coarse, coarse_grid = block_mean(array, grid, model.pose.spacing_mm)
    center = _field_center(coarse, coarse_grid, model.pose.size * model.pose.spacing_mm)
    template_to_lps = _find_pose(coarse, coarse_grid, center, model.pose)
    found = apply_affine(template_to_lps, np.zeros(3))
    if np.linalg.norm(found - center) > RECENTER_MM:
        template_to_lps = _find_pose(coarse, coarse_grid, found, model.pose)
    middle, middle_grid = block_mean(array, grid, model.fine.spacing_mm)
    for _ in range(MAX_FINE_PASSES):
        encoding = _look_closely(middle, middle_grid, template_to_lps, model.fine)
        if _brain_shift_mm(template_to_lps, encoding.template_to_lps) < REPEAT_MM:
            break
        template_to_lps = encoding.template_to_lps
    return encoding


def fit_pair(fixed: Encoding, moving: Encoding, dof: int = 12) -> Array:
    """Fit the transform between two images from the centroids of their structures.

    Symmetric: exchanging the images gives the inverse. 9 degrees of freedom start from the 12-parameter fit.

    Parameters
    ----------
    fixed, moving : Encoding
    dof : int
        6, 7, 9 or 12.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        LPS mm.
    """
    both = ~np.isnan(fixed.centroids_lps[:, 0]) & ~np.isnan(moving.centroids_lps[:, 0])
    f, m = fixed.centroids_lps[both], moving.centroids_lps[both]
    weights = np.sqrt(fixed.weights * moving.weights)[both]
    start = _robust_similarity(f, m, weights, scale=dof != 6)
    if dof in (6, 7):
        return start[0]
    trusted = weights * start[1]
    for _ in range(3):
        forward, backward = fit_affine(f, m, trusted), fit_affine(m, f, trusted)
        fixed_to_moving = geodesic_mean([forward, invert(backward)])
        # Distances both ways, so that the weights do not depend on which image is which.
        there = np.linalg.norm(apply_affine(fixed_to_moving, f) - m, axis=1)
        back = np.linalg.norm(apply_affine(invert(fixed_to_moving), m) - f, axis=1)
        trusted = weights * _cauchy(np.sqrt(there * back), floor_mm=2.0)
    return fixed_to_moving


def _field_center(array: Array, grid: Grid, extent_mm: float) -> Array:
    """Return where to put the cube: the field's middle, or near the foreground's where the field is larger."""
    threshold = 0.2 * np.percentile(array, 99)
    weight = np.maximum(array - threshold, 0)
    total = weight.sum() or 1.0
    marginals = [weight.sum(axis=axes) for axes in ((0, 1), (0, 2), (1, 2))]  # along x, y, z
    middle = (np.array(grid.size) - 1) / 2
    mass = np.array([m @ np.arange(len(m)) for m in marginals]) / total
    slack = np.maximum((np.array(grid.size) * grid.spacing - extent_mm) / 2, 0) / grid.spacing
    return apply_affine(grid.index_to_lps, middle + np.clip(mass - middle, -slack, slack))


def _find_pose(array: Array, grid: Grid, center_lps: Array, network: MapNetwork) -> Array:
    """Return template_to_lps from the pose network's look at a cube around `center_lps`.

    One look is enough for a head within about a right angle of upright. Where the structures that it finds do not
    lie as they should, the cube is turned on its other faces until they do.
    """
    cube = Grid.cube(center_lps, network.size, network.spacing_mm)
    seen = _seen(array, grid, cube)
    best, best_mm = np.eye(4), np.inf
    for turn in CUBE_TURNS:
        turned = Grid.cube(center_lps, network.size, network.spacing_mm, turn)
        maps = network.run(_permuted(seen, turn))
        centroids, sureness = _centroids(maps)
        centroids = apply_affine(_maps_grid(turned).index_to_lps, centroids)
        template_to_lps, residual_mm = _fit_template(network, centroids, sureness)
        if residual_mm < best_mm or not np.isfinite(best_mm):
            best, best_mm = template_to_lps, residual_mm
        if best_mm < SURE_MM:
            break
    return best


def _cube_turns() -> tuple[Array, ...]:
    """Return the 24 rotations of a cube as (3, 3) signed permutations, the mildest first."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.eye(3)[:, order] * signs
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return tuple(sorted(turns, key=lambda t: -np.trace(t)))


def _permuted(cube: Array, turn: Array) -> Array:
    """Return a cube's voxels as they lie on its turned self: voxel axis k of the result runs along `turn[:, k]`."""
    axes = np.abs(turn).argmax(0)  # x, y, z of the result are these of the cube
    signs = turn.sum(0)
    out = np.transpose(cube, [2 - axes[2 - k] for k in range(3)])
    flips = [k for k in range(3) if signs[2 - k] < 0]
    return np.flip(out, flips) if flips else out


CUBE_TURNS = _cube_turns()


def _look_closely(array: Array, grid: Grid, template_to_lps: Array, network: MapNetwork) -> Encoding:
    """Run the fine network on the brain turned upright by `template_to_lps`."""
    upright = Grid.cube(np.zeros(3), network.size, network.spacing_mm)
    cube = Grid(upright.size, template_to_lps @ upright.index_to_lps)
    maps = network.run(_seen(array, grid, cube))
    centroids, sureness = _centroids(maps)
    maps_grid = _maps_grid(cube)
    centroids = apply_affine(maps_grid.index_to_lps, centroids)
    weights = sureness / np.maximum(network.spread_mm, 0.5) ** 2
    refined, residual_mm = _fit_template(network, centroids, sureness)
    return Encoding(centroids, np.where(np.isnan(weights), 0, weights), maps, maps_grid, refined, residual_mm)


def _seen(array: Array, grid: Grid, cube: Grid) -> Array:
    """Return what the network sees of an image in a cube, normalised as in its training."""
    return percentile(resample(array, grid, cube, np.eye(4)), 1.0, 99.5, ceiling=1.5)


def _maps_grid(cube: Grid) -> Grid:
    """Return the grid of the maps: blocks of two voxels of the cube."""
    block_to_index = np.diag([2.0, 2.0, 2.0, 1.0])
    block_to_index[:3, 3] = 0.5
    x, y, z = cube.size
    return Grid((x // 2, y // 2, z // 2), cube.index_to_lps @ block_to_index)


def _centroids(maps: Array) -> tuple[Array, Array]:
    """Return centroids, (maps, 3) map voxels (x, y, z), NaN where absent; and how sharp each map is, 0 to 1."""
    depth, height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    mass = flat.sum(1)
    sharp = np.einsum("kv,kv->k", flat, flat) / np.maximum(mass, 1e-6)
    x = maps.sum(axis=(1, 2)) @ np.arange(width, dtype=np.float32)
    y = maps.sum(axis=(1, 3)) @ np.arange(height, dtype=np.float32)
    z = maps.sum(axis=(2, 3)) @ np.arange(depth, dtype=np.float32)
    found = np.stack([x, y, z], 1).astype(np.float64) / np.maximum(mass, 1e-6)[:, None]
    found[mass < MIN_MASS_VOXELS] = np.nan
    found[0] = np.nan
    return found, sharp.astype(np.float64)


def _fit_template(network: MapNetwork, centroids_lps: Array, sureness: Array) -> tuple[Array, float]:
    """Return template_to_lps (similarity) and the weighted RMS residual, mm."""
    both = ~np.isnan(centroids_lps[:, 0]) & ~np.isnan(network.template[:, 0])
    if both.sum() < 4:
        return _upright(centroids_lps, both), float("inf")
    weights = (sureness / np.maximum(network.spread_mm, 0.5) ** 2)[both]
    template_to_lps, _ = _robust_similarity(network.template[both], centroids_lps[both], weights)
    if not SMALLEST_HEAD < np.cbrt(np.linalg.det(template_to_lps[:3, :3])) < LARGEST_HEAD:
        template_to_lps, _ = _robust_similarity(network.template[both], centroids_lps[both], weights, scale=False)
    residual = np.linalg.norm(apply_affine(template_to_lps, network.template[both]) - centroids_lps[both], axis=1)
    return template_to_lps, float(np.sqrt((weights @ residual**2) / weights.sum()))


def _upright(centroids_lps: Array, found: Array) -> Array:
    """Return the pose of an upright head where next to nothing was found: only a place, if any."""
    pose = np.eye(4)
    if found.any():
        pose[:3, 3] = centroids_lps[found].mean(0)
    return pose


def _robust_similarity(a: Array, b: Array, weights: Array, *, scale: bool = True) -> tuple[Array, Array]:
    """Return the similarity from a to b by reweighted least squares, and the last robust weights."""
    trust = np.ones(len(a))
    for _ in range(8):
        a_to_b = fit_similarity(a, b, weights * trust, scale=scale)
        there = np.linalg.norm(apply_affine(a_to_b, a) - b, axis=1)
        factor = np.cbrt(np.linalg.det(a_to_b[:3, :3]))  # half of it, so that b to a has the same weights
        trust = _cauchy(there / np.sqrt(factor), floor_mm=4.0)
    return a_to_b, trust


def _cauchy(distance_mm: Array, floor_mm: float) -> Array:
    """Return weights that fall where a distance is well above the typical one."""
    typical = max(1.5 * float(np.median(distance_mm)), floor_mm)
    return 1 / (1 + (distance_mm / typical) ** 2)


def _brain_shift_mm(a_to_lps: Array, b_to_lps: Array) -> float:
    """Return how far two template_to_lps put the outline of the brain apart, mm (mean of 8 points)."""
    corners = 55.0 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return float(np.linalg.norm(apply_affine(a_to_lps, corners) - apply_affine(b_to_lps, corners), axis=1).mean())
