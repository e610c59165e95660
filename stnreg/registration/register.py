"""Registration of one pair: start, network, refinement, verdict. The one path of the command line and of Python."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Literal

import numpy as np

from stnreg.core.clock import Clock
from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.images.inputs import Image, as_volume, take_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.models.card import Weights, find
from stnreg.models.runtime import open_session
from stnreg.preprocessing.initial_transform import center_geometry, center_moments
from stnreg.preprocessing.masks import NAMES as MASKS
from stnreg.preprocessing.masks import load_masks
from stnreg.registration.anatomy.encode import threads_of_each
from stnreg.registration.anatomy.load import AnatomyEncoder
from stnreg.registration.encoding import DEFAULT_MODEL, Seen, open_networks
from stnreg.registration.estimate import Pair, align
from stnreg.registration.pairnet.predict import predict_pair
from stnreg.registration.pose_retry import register_with_retry
from stnreg.registration.quality import NOTHING_TO_JUDGE_BY
from stnreg.registration.result import Registration
from stnreg.transforms.io.links import load_chain

__all__ = ["DEFAULT_MODEL", "Dof", "Registration", "register"]

Dof = Literal[6, 7, 9, 12]


def register(
    fixed: Image | Seen,
    moving: Image | Seen,
    *,
    dof: int = 12,
    model: str = DEFAULT_MODEL,
    init: str = "auto",
    header_source: HeaderSource = "auto",
    refine: bool = True,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    fixed_exclude: Image | None = None,
    moving_exclude: Image | None = None,
    volume: str | int | None = None,
    min_score: float | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Registration:
    """Align a moving image to a fixed image.

    Parameters
    ----------
    fixed, moving : path, Volume, nibabel or SimpleITK image, or Seen
        3-D scans of heads or brains, any orientation; or what `look` made of one.
    dof : {6, 7, 9, 12}
        Rigid, similarity, rigid with a scale per axis, affine.
    model : str
        A network in `weights/`, or an `.onnx` that `stnreg export` wrote.
    init : str
        `auto`: the network alone; `header`: trust both headers; `geometry`, `moments`: middles or centres of mass
        on each other; or a transform file, `inv:` and `fsl:` as in a chain. Anatomy networks look at each image alone
        and need no start: theirs is replaced by any other than `auto`. Pair networks start from it, `auto` being
        `geometry`.
    header_source : {"auto", "sform", "qform"}
    refine : bool
        Whether the intensities inside both brains, as an anatomy network maps them, have the last word. A pair
        network maps no brain, and its result stands as it is.
    fixed_mask, moving_mask : image, optional
        Non-zero where the refinement looks, instead of the brain; resampled to its image's grid where it has another.
    fixed_exclude, moving_exclude : image, optional
        Non-zero where it does not look: lesions, resections.
    volume : int or "mean", optional
        Which volume of an image that is a series to align by, from 0. No choice is made without it.
    min_score : float, optional
        Least score that passes the verdict; the calibrated one when left out.
    device : str
        `auto`, `cpu`, `cuda` or `cuda:N`.
    threads : int, optional
        `default_threads()` when left out.

    Returns
    -------
    Registration

    Raises
    ------
    DataError
        If an image, a transform or a network cannot be used.
    UsageProblem
        If an argument is not one of the above.
    """
    given = dict(zip(MASKS, (fixed_mask, moving_mask, fixed_exclude, moving_exclude), strict=True))
    weights = find(model)
    _check(weights, (fixed, moving), dof, refine, any(mask is not None for mask in given.values()))
    threads = threads or default_threads()
    clock = Clock()
    with _reading((fixed, moving), header_source, volume is not None, threads) as waiting:
        with clock.stage("load network"):  # while the images are read
            of_each = threads_of_each(threads, sum(not isinstance(image, Seen) for image in (fixed, moving)))
            networks = open_networks(weights, of_each, device) if weights.kind == "anatomy" else None
            session = open_session(weights, threads=threads, device=device) if networks is None else None
        with clock.stage("read"):
            wholes = [each() for each in waiting]
            a, b = (take_volume(whole, volume) for whole in wholes)
            masks = load_masks(given, a, b, header_source)
    with clock.stage("start"):
        start, start_warnings = _start(init, a, b)
    verdict, refined = NOTHING_TO_JUDGE_BY, None
    if session is not None:
        with clock.stage("network"):
            estimate = predict_pair(a, b, weights, session, initial=start, threads=threads)
        fixed_to_moving = nearest_dof(estimate.fixed_to_moving, a.grid.center_lps, dof)
    elif networks is not None:
        with clock.stage("network"):
            seen = _look((fixed, a), (moving, b), networks, threads)
        images = (a.array, a.grid), (b.array, b.grid)
        as_asked = partial(align, images, dof=dof, refine=refine, masks=masks, min_score=min_score, threads=threads)
        aligned = register_with_retry(images, seen, networks.model, as_asked, start, clock=clock)
        fixed_to_moving, refined, verdict = aligned.fixed_to_moving, aligned.refined, aligned.verdict
    return Registration(
        fixed_to_moving,
        a,
        b,
        dof,
        weights,
        verdict,
        device,
        threads,
        clock.seconds,
        (*a.warnings, *b.warnings, *start_warnings, *(refined.notes if refined else ())),
        refined,
        *(whole if whole.array.ndim == 4 else None for whole in wholes),
    )


def _check(weights: Weights, images: tuple[Image | Seen, ...], dof: int, refine: bool, masked: bool) -> None:
    """Refuse what cannot be, before anything is read."""
    if dof not in (6, 7, 9, 12):
        raise UsageProblem(f"dof is 6, 7, 9 or 12, got {dof}")
    if masked and not (refine and weights.kind == "anatomy"):
        raise UsageProblem("masks guide the refinement, which an anatomy network starts and --no-refine leaves out")
    for image in images:
        if isinstance(image, Seen) and image.model.identity != weights.identity:
            raise UsageProblem(f"{image.volume.path}: was looked at by {image.model.name}, not by {weights.name}")


@contextmanager
def _reading(
    images: tuple[Image | Seen, ...], header_source: HeaderSource, series: bool, threads: int
) -> Iterator[list[Callable[[], Volume]]]:
    """Read images, at once where there are threads for it; yields what to call for each, once it is needed."""

    def read(image: Image | Seen) -> Volume:
        return image.whole if isinstance(image, Seen) else as_volume(image, header_source, series=series)

    if threads < 2:
        yield [partial(read, image) for image in images]
        return
    with ThreadPoolExecutor(len(images)) as pool:
        yield [pool.submit(read, image).result for image in images]


def _look(
    fixed: tuple[Image | Seen, Volume], moving: tuple[Image | Seen, Volume], networks: AnatomyEncoder, threads: int
) -> Pair:
    """Look at what was not looked at yet; at once where that is both images."""
    (fixed_image, a), (moving_image, b) = fixed, moving
    if isinstance(fixed_image, Seen):
        return fixed_image.encoding, moving_image.encoding if isinstance(moving_image, Seen) else networks.encode(b)
    if isinstance(moving_image, Seen):
        return networks.encode(a), moving_image.encoding
    return networks.encode_both(a, b, threads)


def _start(init: str, fixed: Volume, moving: Volume) -> tuple[Matrix | None, tuple[str, ...]]:
    """Return the `fixed_to_moving` that `init` stands for, None for `auto`; and what to say of it."""
    if init == "auto":
        return None, ()
    if init == "header":
        return np.eye(4), ()
    if init == "geometry":
        return center_geometry(fixed.grid, moving.grid), ()
    if init == "moments":
        return center_moments(fixed, moving), ()
    chain = load_chain([init], fixed, moving)
    return chain.matrix, chain.warnings
