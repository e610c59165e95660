"""Encode one image: its pose, its structures and its brain mask. Onnxruntime and numpy.

Two networks are run. The input of the pose network is a 256 mm cube in any rotation; it locates the head. The input of
the fine network is the brain, rotated upright and scaled to the template. Each returns soft maps of structures, whose
centroids are fitted to the template's. An `Encoding` depends on one image alone and can be used with any other;
`stnreg.registration.anatomy.fit` estimates the affine between two.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import chain

import numpy as np

from stnreg.core.clock import NO_DEADLINE, Deadline
from stnreg.core.threads import map_threads, one_blas_thread
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.encoding import AGREED_SLACK, AnatomyModel, Encoding
from stnreg.registration.anatomy.maps import (
    MapNetwork,
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
MAX_POSES = 8  # candidates that are encoded
MOST_AT_ONCE = 4  # runs of a network: each takes memory


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
def encode_means(
    means: BlockMeans, model: AnatomyModel, deadline: Deadline = NO_DEADLINE, threads: int = 1
) -> Encoding:
    """Encode one image, as `encode` does, by its block means.

    Parameters
    ----------
    means : BlockMeans
    model : AnatomyModel
    deadline : Deadline
        Once it is over no other pose is tried.
    threads : int
        Number of threads that search for a head that is hard to find, `MOST_AT_ONCE` at most. The result is the same.
    """
    try:
        tried = _encode_until_accepted(means, model, deadline, min(threads, MOST_AT_ONCE))
    except NoHead:
        return replace(_unsearched(means, model), has_head=False)
    best = min(tried, key=lambda encoding: encoding.pose_uncertainty)
    if len(tried) < 3 or deadline.is_over:
        return best
    middle = means.at(model.fine.spacing_mm)
    again = _encode_from_pose(*middle, best.template_to_lps, model.fine, MAX_FINE_PASSES - 1)
    others = tuple(encoding for encoding in tried if encoding is not best)
    return replace(min(best, again, key=lambda encoding: encoding.pose_uncertainty), alternatives=others)


def _encode_until_accepted(means: BlockMeans, model: AnatomyModel, deadline: Deadline, threads: int) -> list[Encoding]:
    """Encode one image from its candidate poses, up to the first that fits the template.

    Poses that are known are encoded side by side. What comes after one that fits is dropped: the result is that of one
    thread.

    Raises
    ------
    NoHead
        If the image shows nothing like a head.
    """
    middle, middle_grid = means.at(model.fine.spacing_mm)
    tried: list[Encoding] = []

    def encode_pose(pose: FoundPose, passes: int) -> Encoding:
        return _encode_from_pose(middle, middle_grid, pose.template_to_lps, model.fine, passes)

    for poses in candidate_poses(means, model, threads):
        left = poses[: MAX_POSES - len(tried)]
        for some in (left[start : start + threads] for start in range(0, len(left), threads)):
            thorough = [pose.is_agreed or (not tried and pose is some[0]) for pose in some]
            passes = [MAX_FINE_PASSES if one else 1 for one in thorough]
            encodings = map_threads(encode_pose, some, passes, threads=threads)
            for pose, encoding in zip(some, encodings, strict=True):
                tried.append(encoding)
                slack = AGREED_SLACK if pose.is_agreed else 1.0
                if encoding.fit_residual_mm <= slack * model.fine.calibration.accept_mm or deadline.is_over:
                    return tried
    return tried


def candidate_poses(means: BlockMeans, model: AnatomyModel, threads: int = 1) -> Iterator[Sequence[FoundPose]]:
    """Yield candidate poses of an image, most likely first, in groups; see `find_poses`.

    Raises
    ------
    NoHead
        If the image shows nothing like a head; before the first pose.
    """
    yield from find_poses(*_coarse(means, model), model.pose, threads)


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
    for pose in chain.from_iterable(candidate_poses(means, model)):
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

    Once one of them is done, its threads help with the other.

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
    waiting = _helpers().submit(encode_means, fixed, model, deadline, threads)
    second = encode_means(moving, model, deadline, threads)
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
