"""From one scan to its pose, its structures and its brain. Onnxruntime and numpy.

An image is looked at twice. The pose network sees a 256 mm cube in any rotation and finds the head; the fine
network sees the brain turned upright and scaled to the template. Each gives soft maps of structures, whose
centroids are fitted to the template's. What was found in one image (`Encoding`) can be kept and used with any
other; `stnreg.registration.anatomy.fit` makes an affine of two.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.maps import (
    MapNetwork,
    PoseNetwork,
    centroids_of,
    fit_template,
    maps_grid,
    network_input,
    voxel_mm3,
)
from stnreg.registration.anatomy.pose import brain_shift_mm, field_center, find_poses
from stnreg.resampling.block_mean import block_mean

Array = np.ndarray
MAX_FINE_PASSES = 3
MAX_POSES = 10


@dataclass(frozen=True)
class AnatomyModel:
    """The two networks."""

    pose: PoseNetwork
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
    maps : (structures, D, H, W) float32
        Share of each structure, background first.
    maps_grid : Grid
        Where the maps lie; turned with the head.
    template_to_lps : (4, 4) float64
        Similarity from the template to the image.
    residual_mm : float
        Weighted root mean square distance of the centroids from where the similarity puts the template's.
    fit_residual_mm : float
        The same with the head's shape taken out: whether this is a pose to believe.
    volumes_mm3 : (structures,) float64
        What is in view of each structure.
    calibration : Calibration
        Of the network that found them.
    """

    centroids_lps: Array
    weights: Array
    maps: Array
    maps_grid: Grid
    template_to_lps: Array
    residual_mm: float
    fit_residual_mm: float
    volumes_mm3: Array
    calibration: Calibration = field(default_factory=Calibration)

    @property
    def pose_uncertainty(self) -> float:
        """The misfit over how sharp the maps are of what is in view; lower is better."""
        flat = self.maps[1:].reshape(len(self.maps) - 1, -1)
        sharp = np.einsum("kv,kv->", flat, flat) / max(float(flat.sum()), 1e-6)
        return self.fit_residual_mm / max(float(sharp), 1e-3)

    @property
    def mirror(self) -> Array:
        """(4, 4): the reflection in the head's midplane, LPS mm."""
        return self.template_to_lps @ np.diag([-1.0, 1.0, 1.0, 1.0]) @ invert(self.template_to_lps)

    @property
    def brain(self) -> Array:
        """Share of brain (ventricles included) in each voxel of `maps_grid`, (D, H, W) float32."""
        return 1.0 - self.maps[0]


@one_blas_thread()
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
    tried: list[Encoding] = []
    for encoding in islice(encode_poses(array, grid, model), MAX_POSES):
        tried.append(encoding)
        if encoding.fit_residual_mm <= model.fine.calibration.accept_mm:
            break
    return min(tried, key=lambda encoding: encoding.pose_uncertainty)


def encode_poses(array: Array, grid: Grid, model: AnatomyModel) -> Iterator[Encoding]:
    """Give what one pose after the other leads to, the likeliest first, and whether it is believed or not.

    Parameters
    ----------
    array, grid, model
        As `encode`.
    """
    coarse, coarse_grid = block_mean(array, grid, model.pose.spacing_mm)
    center = field_center(coarse, coarse_grid, np.array(model.pose.size) * model.pose.spacing_mm)
    middle, middle_grid = block_mean(array, grid, model.fine.spacing_mm)
    for pose in find_poses(coarse, coarse_grid, center, model.pose):
        yield _follow(middle, middle_grid, pose, model.fine)


@one_blas_thread()
def encode_from(array: Array, grid: Grid, template_to_lps: Array, model: AnatomyModel) -> Encoding:
    """Look at one image closely from a pose that is known from elsewhere.

    Parameters
    ----------
    array, grid, model
        As `encode`.
    template_to_lps : (4, 4) float64
        A similarity.
    """
    return _follow(*block_mean(array, grid, model.fine.spacing_mm), template_to_lps, model.fine)


def encode_both(
    fixed: tuple[Array, Grid], moving: tuple[Array, Grid], model: AnatomyModel, threads: int
) -> tuple[Encoding, Encoding]:
    """Look at two images, at once where there are threads for it.

    Parameters
    ----------
    fixed, moving : (array, Grid)
        As `encode` takes them.
    model : AnatomyModel
        Whose networks each run on `threads_of_each(threads, 2)`.
    threads : int
    """
    if threads < 2:
        return encode(*fixed, model), encode(*moving, model)
    waiting = _helpers().submit(encode, *fixed, model)
    second = encode(*moving, model)
    return waiting.result(), second


@cache
def _helpers() -> ThreadPoolExecutor:
    """Keep threads that look at images: a new one would fetch all of a network's memory from the system again."""
    return ThreadPoolExecutor(thread_name_prefix="stnreg-look")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads, and would wait for them
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def threads_of_each(threads: int, images: int) -> int:
    """Return how many threads a network has to look at one of so many images: two at once share what there is.

    A network on two threads is not twice as fast as on one, two images beside each other are.
    """
    return max(threads // images, 1) if images else threads


def _follow(array: Array, grid: Grid, template_to_lps: Array, network: MapNetwork) -> Encoding:
    """Look closely from a pose, and again from the pose that the look gives, until it stays."""
    for _ in range(MAX_FINE_PASSES):
        encoding = _encode_upright(array, grid, template_to_lps, network)
        if brain_shift_mm(template_to_lps, encoding.template_to_lps) < network.calibration.repeat_mm:
            break
        template_to_lps = encoding.template_to_lps
    return encoding


def _encode_upright(array: Array, grid: Grid, template_to_lps: Array, network: MapNetwork) -> Encoding:
    """Run the fine network on the brain turned upright by `template_to_lps`."""
    upright = Grid.cube(np.zeros(3), network.size, network.spacing_mm)
    cube = Grid(upright.size, template_to_lps @ upright.index_to_lps)
    maps = network.run(network_input(array, grid, cube))
    centroids, confidence, mass = centroids_of(maps)
    where = maps_grid(cube)
    centroids = apply_affine(where.index_to_lps, centroids)
    weights = confidence / np.maximum(network.spread_mm, 0.5) ** 2
    volumes_mm3 = mass * voxel_mm3(where)
    found = fit_template(network, centroids, confidence, volumes_mm3)
    return Encoding(
        centroids, np.where(np.isnan(weights), 0, weights), maps, where, *found, volumes_mm3, network.calibration
    )
