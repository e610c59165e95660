"""Registration of one pair: start, network, refinement, verdict. The one path of the command line and of Python."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import Parameters, invert, nearest_dof, to_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.inference import anatomy_model
from stnreg.inference.anatomy import Encoding, fit_pair
from stnreg.inference.predict import predict_pair
from stnreg.inference.session import default_threads, open_session
from stnreg.inference.verdict import NOTHING_TO_JUDGE_BY, Verdict, judge
from stnreg.inference.weights import Weights, find
from stnreg.io.images import Image, as_volume, take_volume
from stnreg.io.transform import load_transform, save_transform
from stnreg.io.volume import HeaderSource, Volume
from stnreg.preprocess.apply import OutputType, move, save_moved
from stnreg.preprocess.initialise import center_geometry, center_moments
from stnreg.preprocess.masks import NAMES as MASKS
from stnreg.preprocess.masks import Mask, load_masks
from stnreg.preprocess.resample import Interpolation
from stnreg.refine.refinement import Refined, refine_affine

DEFAULT_MODEL = "anatomy"
Dof = Literal[6, 7, 9, 12]


@dataclass(frozen=True, eq=False)
class Registration:
    """What came of one pair.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Takes fixed LPS points to moving LPS points, mm: what ITK writes and resampling pulls through.
    fixed, moving : Volume
        As loaded.
    dof : int
    model : Weights
        The network that was used.
    verdict : Verdict
        Whether it is to be believed, and why not.
    timings_s : dict
        Wall time by stage, seconds.
    warnings : tuple of str
    refined : Refined or None
        What the refinement did; None where there was none.
    fixed_series, moving_series : Volume or None
        All volumes of an image that was a series: what is resampled, where `fixed` and `moving` are what was aligned.
    """

    fixed_to_moving: Matrix
    fixed: Volume
    moving: Volume
    dof: int
    model: Weights
    verdict: Verdict
    device: str
    threads: int
    timings_s: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    refined: Refined | None = None
    fixed_series: Volume | None = None
    moving_series: Volume | None = None

    @property
    def parameters(self) -> Parameters:
        """Translation, rotation, scale and shear about the middle of the fixed grid."""
        return to_parameters(self.fixed_to_moving, self.fixed.grid.center_lps)

    @property
    def moved(self) -> np.ndarray:
        """The moving image on the fixed grid, linear, ([t,] z, y, x) float32; sampled anew at each call."""
        return move(self.moving_series or self.moving, self.fixed, self.fixed_to_moving, threads=self.threads)

    def save(
        self,
        image: str | os.PathLike[str] | None = None,
        transform: str | os.PathLike[str] | None = None,
        *,
        interp: Interpolation = "linear",
        background: float = 0.0,
        dtype: OutputType = "float32",
        inverse: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write the transform, then FIXED brought to MOVING, then the moved image; each whole or not at all."""
        if transform is not None:
            save_transform(transform, self.fixed_to_moving)
        a, b = self.fixed_series or self.fixed, self.moving_series or self.moving
        for path, pulled, onto, matrix in (
            (inverse, a, self.moving, invert(self.fixed_to_moving)),
            (image, b, self.fixed, self.fixed_to_moving),
        ):
            if path is not None:
                save_moved(
                    path,
                    pulled,
                    onto,
                    matrix,
                    interp=interp,
                    background=background,
                    dtype=dtype,
                    threads=self.threads,
                )


class Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def register(
    fixed: Image,
    moving: Image,
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
    fixed, moving : path, Volume, nibabel or SimpleITK image
        3-D scans of heads or brains, any orientation.
    dof : {6, 7, 9, 12}
        Rigid, similarity, rigid with a scale per axis, affine.
    model : str
        A network in `weights/`, or an `.onnx` that `stnreg export` wrote.
    init : str
        `auto`: the network alone; `header`: trust both headers; `geometry`, `moments`: middles or centres of mass
        on each other; or a transform file. Anatomy networks look at each image alone and need no start: theirs
        is replaced by any other than `auto`. Pair networks start from it, `auto` being `geometry`.
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
    if dof not in (6, 7, 9, 12):
        raise UsageProblem(f"dof is 6, 7, 9 or 12, got {dof}")
    threads = threads or default_threads()
    clock = Clock()
    with clock.stage("read"):
        wholes = [as_volume(image, header_source, series=volume is not None) for image in (fixed, moving)]
        a, b = (take_volume(whole, volume) for whole in wholes)
        given = (fixed_mask, moving_mask, fixed_exclude, moving_exclude)
        masks = load_masks(dict(zip(MASKS, given, strict=True)), a, b, header_source)
    with clock.stage("start"):
        start = _start(init, a, b)
    weights = find(model)
    if masks and not (refine and weights.kind == "anatomy"):
        raise UsageProblem("masks guide the refinement, which an anatomy network starts and --no-refine leaves out")
    verdict, refined = NOTHING_TO_JUDGE_BY, None
    if weights.kind == "pair":
        with clock.stage("load network"):
            session = open_session(weights, threads=threads, device=device)
        with clock.stage("network"):
            estimate = predict_pair(a, b, weights, session, initial=start, threads=threads)
        fixed_to_moving = nearest_dof(estimate.fixed_to_moving, a.grid.center_lps, dof)
    else:
        with clock.stage("load network"):
            networks = anatomy_model.load(weights, threads=threads, device=device)
        with clock.stage("network"):
            seen: tuple[Encoding, Encoding] = (networks.encode(a), networks.encode(b))
        with clock.stage("fit"):
            fixed_to_moving = fit_pair(*seen, dof=dof) if start is None else start
            if start is not None or dof == 9:  # scales along the axes of a grid that the fit knows nothing of
                fixed_to_moving = nearest_dof(fixed_to_moving, a.grid.center_lps, dof)
        if refine:
            with clock.stage("refine"):
                refined = _refine(a, b, seen, fixed_to_moving, dof, threads, masks)
            fixed_to_moving = refined.fixed_to_moving
        with clock.stage("verdict"):
            verdict = judge(*seen, fixed_to_moving, min_score)
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
        (*a.warnings, *b.warnings, *(refined.notes if refined else ())),
        refined,
        *(whole if whole.array.ndim == 4 else None for whole in wholes),
    )


def _refine(
    fixed: Volume,
    moving: Volume,
    seen: tuple[Encoding, Encoding],
    start: Matrix,
    dof: int,
    threads: int,
    masks: dict[str, Mask],
) -> Refined:
    """Refine on the intensities inside both brains, or where masks say."""
    return refine_affine(
        (fixed.array, fixed.grid),
        (moving.array, moving.grid),
        start,
        fixed_brain=(seen[0].brain, seen[0].maps_grid),
        moving_brain=(seen[1].brain, seen[1].maps_grid),
        **masks,
        dof=dof,
        threads=threads,
    )


def _start(init: str, fixed: Volume, moving: Volume) -> Matrix | None:
    """Return the `fixed_to_moving` that `init` stands for; None for `auto`."""
    if init == "auto":
        return None
    if init == "header":
        return np.eye(4)
    if init == "geometry":
        return center_geometry(fixed.grid, moving.grid)
    if init == "moments":
        return center_moments(fixed, moving)
    return load_transform(init)
