"""Networks that map structures: their input, their output, and the similarity fitted to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.fitting import fit_affine, fit_similarity
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration, PoseCalibration
from stnreg.preprocessing.intensity import percentile
from stnreg.resampling.resample import resample

Array = np.ndarray
MIN_MASS_VOXELS = 0.3  # minimum mass of a structure, in map voxels, to have a centroid
INPUT_CEILING = 1.5  # the 99.5th percentile of an input is 1
USUAL_BRIGHTNESS, DIM = 0.88, 0.4  # 90th percentile of the brain in an input: 0.64 to 0.91; dim below this
MIN_BRAIN_VOXELS = 100  # of the maps
STRAIN_MM = 12.0  # penalty of a strain of 1, as a distance; heads differ by a strain of 0.1
CUT_LOG = 0.4  # log volume ratio: between heads about 0.25, of a truncated structure 0.7 and more
SMALLEST_HEAD, LARGEST_HEAD = 0.55, 1.6  # scale of the template; outside, a rigid transform is fitted


@dataclass(frozen=True)
class MapNetwork:
    """A network that maps structures, with its template.

    Parameters
    ----------
    run : callable
        From (z, y, x) float32 to soft maps (maps, z/2, y/2, x/2) float32.
    size, spacing_mm : tuple of int, float
        Its input box, voxels along (x, y, z), and their spacing; for the fine network in template mm.
    template : (maps, 3) float64
        Mean centroids, template LPS mm; NaN for the background.
    spread_mm : (maps,) float64
        Mean distance, on validation scans, of the centroid of a structure from that of its labels
        (`stnreg.training.anatomy.calibrate`). Sets the weights. NaN for the background.
    volumes_mm3 : (maps,) float64, optional
        Mean volumes in the template; NaN for the background. Much smaller structures are taken as truncated.
    """

    run: Callable[[Array], Array]
    size: tuple[int, int, int]
    spacing_mm: float
    template: Array
    spread_mm: Array
    volumes_mm3: Array | None = None
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True)
class PoseNetwork(MapNetwork):
    """The network that locates the head in a cube, in any rotation."""

    pose_calibration: PoseCalibration = field(default_factory=PoseCalibration)


def network_input(array: Array, grid: Grid, cube: Grid) -> Array:
    """Resample an image to a cube, and normalise it as in training."""
    return percentile(resample(array, grid, cube, np.eye(4)), 1.0, 99.5, ceiling=INPUT_CEILING)


def brightening(scan: Array, maps: Array) -> float:
    """Return the factor that gives the brain the brightness that it has in other scans; 1 if it has that already.

    Scalp and neck can be several times as bright as the brain, near a surface coil for example. They then set the scale
    of the input, and the brain has little contrast in it.

    Parameters
    ----------
    scan : (z, y, x) float32
        The input of the network.
    maps : (maps, z/2, y/2, x/2) float32
        What it returned for it, background first.
    """
    z, y, x = maps.shape[1:]
    brain = scan.reshape(z, 2, y, 2, x, 2).mean((1, 3, 5))[maps[1:].sum(0) > 0.5]
    if len(brain) < MIN_BRAIN_VOXELS:
        return 1.0
    bright = max(float(np.percentile(brain, 90)), 1e-3)
    return USUAL_BRIGHTNESS / bright if bright < DIM else 1.0


def brightened(scan: Array, factor: float) -> Array:
    """Return an input of a network with its intensities times a factor, limited as ever."""
    return scan if factor == 1.0 else np.minimum(scan * np.float32(factor), np.float32(INPUT_CEILING))


def maps_grid(cube: Grid) -> Grid:
    """Return the grid of the maps: blocks of two voxels of the cube."""
    block_to_index = np.diag([2.0, 2.0, 2.0, 1.0])
    block_to_index[:3, 3] = 0.5
    x, y, z = cube.size
    return Grid((x // 2, y // 2, z // 2), cube.index_to_lps @ block_to_index)


def voxel_mm3(grid: Grid) -> float:
    """Return the volume of a voxel."""
    return abs(float(np.linalg.det(grid.index_to_lps[:3, :3])))


def centroids_of(maps: Array) -> tuple[Array, Array, Array]:
    """Return centroid, sharpness and mass of each map.

    Returns
    -------
    centroids : (maps, 3) float64
        Map voxels (x, y, z); NaN where the structure is absent, and for the background.
    sharp : (maps,) float64
        Sharpness of each map, 0 to 1.
    mass : (maps,) float64
        Map voxels.
    """
    flat = maps.reshape(len(maps), -1)
    index = np.indices(maps.shape[1:], np.float32)[::-1].reshape(3, -1)
    sums = flat @ np.concatenate([index, np.ones_like(index[:1])]).T  # one pass over the maps for x, y, z and mass
    mass = sums[:, 3]
    sharp = np.einsum("kv,kv->k", flat, flat) / np.maximum(mass, 1e-6)
    found = sums[:, :3].astype(np.float64) / np.maximum(mass, 1e-6)[:, None]
    found[mass < MIN_MASS_VOXELS] = np.nan
    found[0] = np.nan
    return found, sharp.astype(np.float64), mass.astype(np.float64)


class TemplateFit(NamedTuple):
    """Fit of the template to an image.

    Parameters
    ----------
    template_to_lps : (4, 4) float64
        Similarity.
    residual_mm : float
        Weighted root mean square distance of the centroids from the template's.
    fit_residual_mm : float
        The same after an affine fit with penalised strain. It separates right from wrong poses, whatever the shape of
        the head.
    """

    template_to_lps: Array
    residual_mm: float
    fit_residual_mm: float


def fit_template(
    network: MapNetwork, centroids_lps: Array, confidence: Array, volumes_mm3: Array | None = None
) -> TemplateFit:
    """Fit a similarity from the centroids of the template to those of an image.

    If volumes are given, structures that are much smaller than in the template are taken as truncated by the field of
    view, and their centroids are weighted down.
    """
    both = ~np.isnan(centroids_lps[:, 0]) & ~np.isnan(network.template[:, 0])
    if both.sum() < 4:
        return TemplateFit(_upright(centroids_lps, both), float("inf"), float("inf"))
    weights = (confidence / np.maximum(network.spread_mm, 0.5) ** 2)[both]
    template_to_lps, _ = robust_similarity(network.template[both], centroids_lps[both], weights)
    if volumes_mm3 is not None and network.volumes_mm3 is not None:
        for _ in range(2):
            size = np.linalg.det(template_to_lps[:3, :3])
            whole = wholeness(np.minimum(volumes_mm3[both] / (network.volumes_mm3[both] * size), 1.0))
            template_to_lps, _ = robust_similarity(network.template[both], centroids_lps[both], weights * whole)
        weights = weights * whole
    if not SMALLEST_HEAD < np.cbrt(np.linalg.det(template_to_lps[:3, :3])) < LARGEST_HEAD:
        template_to_lps, _ = robust_similarity(network.template[both], centroids_lps[both], weights, scale=False)
    template, centroids_lps = network.template[both], centroids_lps[both]
    residual = np.linalg.norm(apply_affine(template_to_lps, template) - centroids_lps, axis=1)
    residual_mm = float(np.sqrt((weights @ residual**2) / weights.sum()))
    return TemplateFit(template_to_lps, residual_mm, _fit_residual_mm(template, centroids_lps, weights))


def _fit_residual_mm(a: Array, b: Array, weights: Array) -> float:
    """Return the weighted RMS residual of an affine from a to b with penalised strain, penalty included."""
    trust = np.ones(len(a))
    for _ in range(6):
        trusted = weights * trust
        middle = np.average(a, axis=0, weights=trusted)
        spread = np.average(((a - middle) ** 2).sum(1), weights=trusted) / 3
        a_to_b = fit_affine(a, b, trusted, ridge=STRAIN_MM**2 / max(float(spread), 1.0))
        distance = np.linalg.norm(apply_affine(a_to_b, a) - b, axis=1)
        trust = cauchy_weights(distance, floor_mm=4.0)
    similarity = fit_similarity(a, b, trusted)
    strain = np.linalg.solve(similarity[:3, :3], a_to_b[:3, :3]) - np.eye(3)
    return float(np.sqrt((weights @ distance**2) / weights.sum() + STRAIN_MM**2 * (strain**2).sum()))


def wholeness(ratio: Array) -> Array:
    """Return the confidence, 0 to 1, that a structure with this volume ratio is complete in the field of view."""
    return np.exp(-((np.log(np.maximum(ratio, 1e-3)) / CUT_LOG) ** 2)) + 1e-4


def _upright(centroids_lps: Array, found: Array) -> Array:
    """Return an upright pose if too little was found: a translation, if anything."""
    pose = np.eye(4)
    if found.any():
        pose[:3, 3] = centroids_lps[found].mean(0)
    return pose


def robust_similarity(a: Array, b: Array, weights: Array, *, scale: bool = True) -> tuple[Array, Array]:
    """Fit a similarity from a to b by iteratively reweighted least squares; also return the last robust weights."""
    trust = np.ones(len(a))
    for _ in range(8):
        a_to_b = fit_similarity(a, b, weights * trust, scale=scale)
        there = np.linalg.norm(apply_affine(a_to_b, a) - b, axis=1)
        factor = np.cbrt(np.linalg.det(a_to_b[:3, :3]))  # symmetric: b to a gives the same weights
        trust = cauchy_weights(there / np.sqrt(factor), floor_mm=4.0)
    return a_to_b, trust


def cauchy_weights(distance_mm: Array, floor_mm: float) -> Array:
    """Return the weights of the Cauchy loss; its scale is 1.5 times the median distance, at least `floor_mm`."""
    typical = max(1.5 * float(np.median(distance_mm)), floor_mm)
    return 1 / (1 + (distance_mm / typical) ** 2)
