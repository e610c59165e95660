"""Encode one image: its pose, its structures and its brain mask. Onnxruntime and numpy.

Two networks are run. The input of the pose network is a 256 mm cube in any rotation; it locates the head. The input of
the fine network is the brain, rotated upright and scaled to the template. Each returns soft maps of structures, whose
centroids are fitted to the template's. An `Encoding` depends on one image alone and can be used with any other;
`stnreg.registration.anatomy.fit` estimates the affine between two.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import islice

import numpy as np

from stnreg.core.clock import NO_DEADLINE, Deadline
from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.maps import (
    MapNetwork,
    PoseNetwork,
    brightened,
    brightening,
    centroids_of,
    fit_template,
    maps_grid,
    network_input,
    voxel_mm3,
)
from stnreg.registration.anatomy.pose import FoundPose, NoHead, brain_shift_mm, field_center, find_poses
from stnreg.resampling.block_mean import BlockMeans

Array = np.ndarray
MAX_FINE_PASSES = 3
AGREED_SLACK = 1.25  # a pose that several rotations lead to may fit the template by so much less
MAX_POSES = 8  # candidates that are encoded


@dataclass(frozen=True)
class AnatomyModel:
    """The pose network and the fine network."""

    pose: PoseNetwork
    fine: MapNetwork


@dataclass(frozen=True)
class Encoding:
    """Pose, structures and brain mask of one image.

    Parameters
    ----------
    centroids_lps : (structures, 3) float64
        LPS mm; NaN if a structure was not found.
    weights : (structures,) float64
        Confidence of each centroid, 0 to 1, over the squared spread of its structure, 1 / mm^2.
    maps : (structures, D, H, W) float32
        Soft segmentation: the fraction of each structure in each voxel, background first.
    maps_grid : Grid
        Grid of the maps; rotated with the head.
    template_to_lps : (4, 4) float64
        Similarity from the template to the image.
    residual_mm : float
        Weighted root mean square distance of the centroids from the template's under the similarity.
    fit_residual_mm : float
        The same after a mild affine fit, which accounts for the shape of the head. A pose is accepted by it.
    volumes_mm3 : (structures,) float64
        Volume of each structure inside the field of view.
    calibration : Calibration
        Of the network.
    has_head : bool
        Whether the image shows anything like a head; if not, nothing was searched for.
    alternatives : tuple of Encoding
        From the other poses that were tried, where several were.
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
    has_head: bool = True
    alternatives: tuple["Encoding", ...] = ()

    @property
    def pose_uncertainty(self) -> float:
        """`fit_residual_mm` over the mean sharpness of the maps; lower is better."""
        flat = self.maps[1:].reshape(len(self.maps) - 1, -1)
        sharp = np.einsum("kv,kv->", flat, flat) / max(float(flat.sum()), 1e-6)
        return self.fit_residual_mm / max(float(sharp), 1e-3)

    @property
    def is_placed(self) -> bool:
        """Whether the structures lie as in a head: what an animal or a phantom shows, or a wrong pose, does not."""
        return self.fit_residual_mm <= AGREED_SLACK * self.calibration.accept_mm

    @property
    def mirror(self) -> Array:
        """(4, 4): the reflection in the head's midplane, LPS mm."""
        return self.template_to_lps @ np.diag([-1.0, 1.0, 1.0, 1.0]) @ invert(self.template_to_lps)

    @cached_property
    def maps_by_voxel(self) -> Array:
        """`maps` again, in memory such that the values of one voxel lie together: interpolation reads them so."""
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(self.maps, 0, -1)), -1, 0)

    @property
    def brain(self) -> Array:
        """Soft brain mask (ventricles included) on `maps_grid`, (D, H, W) float32, 0 to 1."""
        return 1.0 - self.maps[0]


def encode(array: Array, grid: Grid, model: AnatomyModel) -> Encoding:
    """Encode one image, in any rotation.

    Parameters
    ----------
    array : (z, y, x) ndarray
        Intensities, any scale.
    grid : Grid
        Of `array`.
    model : AnatomyModel
    """
    return encode_means(BlockMeans(array, grid), model)


@one_blas_thread()
def encode_means(means: BlockMeans, model: AnatomyModel, deadline: Deadline = NO_DEADLINE) -> Encoding:
    """Encode one image, as `encode` does, by its block means.

    Parameters
    ----------
    means : BlockMeans
    model : AnatomyModel
    deadline : Deadline
        Once it is over no other pose is tried.
    """
    tried: list[Encoding] = []
    middle, middle_grid = means.at(model.fine.spacing_mm)
    try:
        for pose in islice(candidate_poses(means, model), MAX_POSES):
            passes = MAX_FINE_PASSES if pose.is_agreed or not tried else 1
            encoding = _encode_from_pose(middle, middle_grid, pose.template_to_lps, model.fine, passes)
            tried.append(encoding)
            slack = AGREED_SLACK if pose.is_agreed else 1.0
            if encoding.fit_residual_mm <= slack * model.fine.calibration.accept_mm or deadline.is_over:
                break
    except NoHead:
        return replace(_unsearched(means, model), has_head=False)
    best = min(tried, key=lambda encoding: encoding.pose_uncertainty)
    if len(tried) < 3 or deadline.is_over:
        return best
    again = _encode_from_pose(middle, middle_grid, best.template_to_lps, model.fine, MAX_FINE_PASSES - 1)
    others = tuple(encoding for encoding in tried if encoding is not best)
    return replace(min(best, again, key=lambda encoding: encoding.pose_uncertainty), alternatives=others)


def candidate_poses(means: BlockMeans, model: AnatomyModel) -> Iterator[FoundPose]:
    """Yield candidate poses of an image, most likely first; see `find_poses`.

    Raises
    ------
    NoHead
        If the image shows nothing like a head; before the first pose.
    """
    yield from find_poses(*_coarse(means, model), model.pose)


def encode_poses(means: BlockMeans, model: AnatomyModel) -> Iterator[Encoding]:
    """Yield the encoding from each candidate pose, most likely first; accepted or not, after one pass each.

    Parameters
    ----------
    means : BlockMeans
        Of the image.
    model : AnatomyModel

    Raises
    ------
    NoHead
        If the image shows nothing like a head; before the first pose.
    """
    for pose in candidate_poses(means, model):
        yield _encode_from_pose(*means.at(model.fine.spacing_mm), pose.template_to_lps, model.fine, passes=1)


def _unsearched(means: BlockMeans, model: AnatomyModel) -> Encoding:
    """Encode one image from an upright pose in the middle of its field of view."""
    middle, upright = means.at(model.fine.spacing_mm), np.eye(4)
    upright[:3, 3] = _coarse(means, model)[2]
    return _encode_upright(*middle, upright, model.fine)


def _coarse(means: BlockMeans, model: AnatomyModel) -> tuple[Array, Grid, Array]:
    """Return the image at the resolution of the pose network, its grid, and the centre of the cube, LPS mm."""
    coarse, coarse_grid = means.at(model.pose.spacing_mm)
    return coarse, coarse_grid, field_center(coarse, coarse_grid, np.array(model.pose.size) * model.pose.spacing_mm)


@one_blas_thread()
def encode_from(
    means: BlockMeans, template_to_lps: Array, model: AnatomyModel, passes: int = MAX_FINE_PASSES
) -> Encoding:
    """Encode one image from a given initial pose.

    Parameters
    ----------
    means : BlockMeans
        Of the image.
    template_to_lps : (4, 4) float64
        Initial pose: a similarity, LPS mm.
    model : AnatomyModel
    passes : int
        Runs of the fine network at most.
    """
    return _encode_from_pose(*means.at(model.fine.spacing_mm), template_to_lps, model.fine, passes)


def encode_both(
    fixed: BlockMeans, moving: BlockMeans, model: AnatomyModel, threads: int, deadline: Deadline = NO_DEADLINE
) -> tuple[Encoding, Encoding]:
    """Encode two images, in parallel if there are at least two threads.

    Parameters
    ----------
    fixed, moving : BlockMeans
        Of the images.
    model : AnatomyModel
        Its networks run on `threads_of_each(threads, 2)` threads each.
    threads : int
    deadline : Deadline
    """
    if threads < 2:
        first = encode_means(fixed, model, deadline)
        # Without a head in the fixed image the pair is rejected, whatever the moving one shows.
        return first, encode_means(moving, model, deadline) if first.has_head else _unsearched(moving, model)
    waiting = _helpers().submit(encode_means, fixed, model, deadline)
    second = encode_means(moving, model, deadline)
    return waiting.result(), second


@cache
def _helpers() -> ThreadPoolExecutor:
    """Keep encoding threads alive: a new thread would allocate the memory of the networks again."""
    return ThreadPoolExecutor(thread_name_prefix="stnreg-encode")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def threads_of_each(threads: int, images: int) -> int:
    """Return the threads of each network if `images` images are encoded in parallel.

    Two images in parallel on one thread each are faster than one after the other on two threads.
    """
    return max(threads // images, 1) if images else threads


def _encode_from_pose(
    array: Array, grid: Grid, template_to_lps: Array, network: MapNetwork, passes: int = MAX_FINE_PASSES
) -> Encoding:
    """Run the fine network from a pose, and again from the pose it returns, until that converges."""
    for _ in range(passes):
        encoding = _encode_upright(array, grid, template_to_lps, network)
        if brain_shift_mm(template_to_lps, encoding.template_to_lps) < network.calibration.repeat_mm:
            break
        template_to_lps = encoding.template_to_lps
    return encoding


def _encode_upright(array: Array, grid: Grid, template_to_lps: Array, network: MapNetwork) -> Encoding:
    """Run the fine network on the brain, rotated upright by `template_to_lps`."""
    upright = Grid.cube(np.zeros(3), network.size, network.spacing_mm)
    cube = Grid(upright.size, template_to_lps @ upright.index_to_lps)
    scan = network_input(array, grid, cube)
    maps = network.run(scan)
    factor = brightening(scan, maps)
    if factor != 1.0:
        maps = network.run(brightened(scan, factor))
    centroids, confidence, mass = centroids_of(maps)
    where = maps_grid(cube)
    centroids = apply_affine(where.index_to_lps, centroids)
    weights = confidence / np.maximum(network.spread_mm, 0.5) ** 2
    volumes_mm3 = mass * voxel_mm3(where)
    found = fit_template(network, centroids, confidence, volumes_mm3)
    return Encoding(
        centroids, np.where(np.isnan(weights), 0, weights), maps, where, *found, volumes_mm3, network.calibration
    )
