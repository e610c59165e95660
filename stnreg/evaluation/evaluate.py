"""`evaluate`: metrics of registered pairs, from files. Opens only what the requested metrics need."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError, UsageProblem
from stnreg.evaluation import overlap, similarity, surface, transforms
from stnreg.evaluation.foreground import DEFAULT_RULE, check_rule, foreground_mask
from stnreg.evaluation.measure import Measure
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.resampling.resample import Interpolation
from stnreg.resampling.warp import resample_through
from stnreg.transforms.base import Transform
from stnreg.transforms.io.links import LinkLike, load_chain

OVERLAP = {"dice": overlap.dice, "jaccard": overlap.jaccard}
SURFACE = {
    "hd": surface.hausdorff_mm,
    "hd95": surface.hd95_mm,
    "assd": surface.assd_mm,
    "mhd": surface.modified_hausdorff_mm,
}
HISTOGRAM = {"mi": similarity.mutual_information, "nmi": similarity.normalised_mutual_information}
INTENSITY = {"ncc": similarity.normalised_cross_correlation, "mse": similarity.mean_squared_error}
TRANSFORM = ("tre", "params", "jacobian")
METRICS = (*OVERLAP, *SURFACE, *HISTOGRAM, *INTENSITY, *TRANSFORM)
UNITS = dict.fromkeys(SURFACE, "mm") | {"mi": "nats", "mse": "intensity^2"}
SAME_GRID_MM = 0.01


@dataclass(frozen=True)
class Case:
    """One registered pair and the options of its evaluation. See `evaluate` for the fields."""

    fixed: Image
    moved: Image
    metrics: tuple[str, ...] = ("dice", "hd", "mi")
    fixed_labels: Image | None = None
    moved_labels: Image | None = None
    labels: tuple[int, ...] | None = None
    mask: Image | None = None
    foreground: str | None = None
    bins: int = similarity.DEFAULT_BINS
    transform: LinkLike | None = None
    truth: LinkLike | None = None
    warp: bool = False
    before: bool = False
    header_source: HeaderSource = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check the options, before anything is opened."""
        unknown = [m for m in self.metrics if m not in METRICS]
        if unknown or not self.metrics:
            raise UsageProblem(f"unknown metrics: {', '.join(unknown) or 'none given'}; known are {', '.join(METRICS)}")
        if (self.fixed_labels is None) != (self.moved_labels is None):
            raise UsageProblem("labels are needed for both images; only one of fixed_labels and moved_labels was given")
        if self.transform is None and set(self.metrics) & set(TRANSFORM):
            raise UsageProblem("the metrics tre, params and jacobian need the estimated transform")
        if self.truth is None and set(self.metrics) & {"tre", "params"}:
            raise UsageProblem("the metrics tre and params need the true transform (truth)")
        if self.before and not (self.warp and self.transform is not None):
            raise UsageProblem("before needs warp and a transform: it measures without the transform and with it")
        if self.bins < 2:
            raise UsageProblem(f"bins {self.bins}: expected at least 2")
        check_rule(self.foreground or DEFAULT_RULE)

    @cached_property
    def fixed_to_moving(self) -> Transform:
        """The estimated transform; the identity without one."""
        return load_chain([] if self.transform is None else [self.transform])

    @cached_property
    def true_fixed_to_moving(self) -> Transform:
        """The true transform; the identity without one."""
        return load_chain([] if self.truth is None else [self.truth])

    @cached_property
    def fixed_volume(self) -> Volume:
        """The fixed image."""
        return _volume(self.fixed, self.header_source)

    @cached_property
    def moved_volume(self) -> Volume:
        """The moved image; with `warp`, the moving one."""
        return _volume(self.moved, self.header_source)

    @cached_property
    def fixed_mask(self) -> NDArray[np.bool_] | None:
        """`mask` on the fixed grid, or None."""
        if self.mask is None:
            return None
        volume = _volume(self.mask, self.header_source, constant=True)
        _same_grid(volume, self.fixed_volume)
        return volume.array != 0

    def onto(self, moved: Volume, fixed: Volume, array: NDArray, interp: Interpolation) -> NDArray:
        """Resample an array of the moved volume to the fixed grid (`warp`), or check that it is on that grid."""
        if self.warp:
            return resample_through(array, moved.grid, fixed.grid, self.fixed_to_moving, interp=interp)
        _same_grid(moved, fixed)
        return array


def evaluate(fixed: Image, moved: Image, **options: Any) -> list[Measure]:
    """Evaluate how well a moved image matches a fixed one.

    Parameters
    ----------
    fixed, moved : path, Volume, nibabel or SimpleITK image
        Two images on one grid; opened only if a metric needs them.
    **options
        metrics : sequence of str, of `METRICS`; default `("dice", "hd", "mi")`.
        fixed_labels, moved_labels : images. Overlap and distances are then per label, and their mean.
        labels : sequence of int. Only these codes; by default all codes of either map.
        mask : image on the fixed grid, non-zero inside, for MI, NMI, NCC, MSE and target error.
        foreground : str, the rule of `foreground_mask`; with labels too, both are evaluated.
        bins : int, of the joint histogram.
        transform, truth : path, (4, 4) float64 in LPS mm or Transform, fixed to moving; also fields and composites.
        warp : bool. `moved` and `moved_labels` are the moving ones: resample them through `transform` first.
        before : bool. With `warp`, also evaluate without the transform, as `NAME_before`.
        header_source : "auto", "sform" or "qform".
        threads : int. For distances; `default_threads()` by default. The values do not depend on it.

    Returns
    -------
    measures : list of Measure
        In the order of `metrics`; per label first, then their mean.

    Raises
    ------
    UsageProblem
        If options contradict each other or a metric lacks its input.
    DataError
        If a file cannot be read, or images lie on different grids without `warp`.
    """
    lists = {name: tuple(options[name]) for name in ("metrics", "labels") if options.get(name) is not None}
    case = Case(fixed, moved, **(options | lists))
    measures = list(_measures(case))
    if case.before:
        images = tuple(m for m in case.metrics if m not in TRANSFORM)
        start = replace(case, transform=np.eye(4), before=False, metrics=images or ("dice",))
        early = [m._replace(metric=f"{m.metric}_before") for m in _measures(start)] if images else []
        measures = early + measures
    return measures


def _measures(case: Case) -> Iterator[Measure]:
    wanted = case.metrics
    found: dict[str, list[Measure]] = {name: [] for name in wanted}
    regions = [name for name in wanted if name in OVERLAP or name in SURFACE]
    if regions and case.fixed_labels is not None:
        for measure in _of_labels(case, regions):
            found[measure.metric].append(measure)
    if regions and (case.fixed_labels is None or case.foreground):
        for measure in _of_foreground(case, regions):
            found[measure.metric].append(measure)
    if set(wanted) & (HISTOGRAM.keys() | INTENSITY.keys()):
        for measure in _of_intensities(case, wanted):
            found[measure.metric].append(measure)
    for name in set(wanted) & set(TRANSFORM):
        found[name] = list(_OF_TRANSFORM[name](case))
    for name in wanted:
        yield from found[name]


def _of_labels(case: Case, metrics: Sequence[str]) -> Iterator[Measure]:
    fixed, moved = (_volume(v, case.header_source, constant=True) for v in (case.fixed_labels, case.moved_labels))
    fixed_labels = overlap.as_labels(fixed.array, fixed.path)
    moved_labels = case.onto(moved, fixed, overlap.as_labels(moved.array, moved.path), "nearest")
    counts = overlap.count_labels(fixed_labels, moved_labels)
    if case.labels is not None:
        counts = counts.select(case.labels)
    distances = {}
    if set(metrics) & SURFACE.keys():
        distances = dict(
            surface.label_surface_distances(fixed_labels, moved_labels, fixed.grid, counts.labels, case.threads)
        )
    for name in metrics:
        if name in OVERLAP:
            values = OVERLAP[name](counts)
        else:
            values = np.array([SURFACE[name](distances[int(label)]) for label in counts.labels])
        for label, value in zip(counts.labels, values, strict=True):
            yield Measure(name, str(label), float(value), UNITS.get(name, "1"))
        yield Measure(name, "mean", _finite_mean(values), UNITS.get(name, "1"))


def _of_foreground(case: Case, metrics: Sequence[str]) -> Iterator[Measure]:
    rule = case.foreground or DEFAULT_RULE
    fixed = foreground_mask(case.fixed_volume.array, rule)
    mask = foreground_mask(case.moved_volume.array, rule).astype(np.uint8)
    moved = case.onto(case.moved_volume, case.fixed_volume, mask, "nearest") > 0
    counts = overlap.count_labels(fixed.astype(np.int32), moved.astype(np.int32))
    wants_distance = bool(set(metrics) & SURFACE.keys())
    nothing = surface.SurfaceDistances(np.empty(0), np.empty(0))
    distances = (
        surface.surface_distances(fixed, moved, case.fixed_volume.grid, case.threads) if wants_distance else nothing
    )
    for name in metrics:
        value = SURFACE[name](distances) if name in SURFACE else next(iter(OVERLAP[name](counts)), float("nan"))
        yield Measure(name, "foreground", float(value), UNITS.get(name, "1"))


def _of_intensities(case: Case, metrics: Sequence[str]) -> Iterator[Measure]:
    fixed, moved = case.fixed_volume, case.moved_volume
    moved_array = case.onto(moved, fixed, moved.array, "linear")
    inside = np.isfinite(fixed.array) & np.isfinite(moved_array)
    if case.warp:
        inside &= case.onto(moved, fixed, np.ones(moved.grid.shape, np.uint8), "nearest") > 0
    if case.fixed_mask is not None:
        inside &= case.fixed_mask
    f, m = fixed.array[inside], moved_array[inside]
    if len(f) == 0:
        raise DataError(f"{moved.path}: no voxel to compare with {fixed.path}; the mask or the overlap is empty")
    if set(metrics) & HISTOGRAM.keys():
        joint = similarity.joint_histogram(f, m, case.bins)
        for name in (n for n in metrics if n in HISTOGRAM):
            yield Measure(name, "image", HISTOGRAM[name](joint), UNITS.get(name, "1"))
    for name in (n for n in metrics if n in INTENSITY):
        yield Measure(name, "image", INTENSITY[name](f, m), UNITS.get(name, "1"))


def _target_errors(case: Case) -> Iterator[Measure]:
    mask = case.fixed_mask
    if mask is None:
        mask = foreground_mask(case.fixed_volume.array, case.foreground or DEFAULT_RULE)
    if not mask.any():
        raise DataError(f"{case.fixed_volume.path}: no voxel to measure the target error on; the mask is empty")
    grid = case.fixed_volume.grid
    errors = transforms.target_errors_through_mm(case.fixed_to_moving, case.true_fixed_to_moving, grid, mask)
    for label, value in (
        ("mean", errors.mean()),
        ("median", np.median(errors)),
        ("p95", np.percentile(errors, 95)),
        ("max", errors.max()),
    ):
        yield Measure("tre", label, float(value), "mm")


def _parameter_errors(case: Case) -> Iterator[Measure]:
    found, true = case.fixed_to_moving.matrix, case.true_fixed_to_moving.matrix
    if found is None or true is None:
        name, source = ("--transform", case.transform) if found is None else ("--truth", case.truth)
        raise UsageProblem(f"{name} {source}: is non-linear, and params compares linear transforms; use tre instead")
    errors = transforms.parameter_errors(found, true, case.fixed_volume.grid.center_lps)
    for label, (value, unit) in errors.items():
        yield Measure("params", label, value, unit)


def _jacobian(case: Case) -> Iterator[Measure]:
    matrix = case.fixed_to_moving.matrix
    if matrix is not None:
        yield Measure("jacobian", "determinant", transforms.jacobian_determinant(matrix), "1")
        return
    if case.fixed_mask is not None and not case.fixed_mask.any():
        raise DataError(f"{case.fixed_volume.path}: no voxel to measure the Jacobian on; the mask is empty")
    figures = transforms.local_jacobian(case.fixed_to_moving, case.fixed_volume.grid, case.fixed_mask)
    yield from (Measure("jacobian", label, value, unit) for label, (value, unit) in figures.items())


_OF_TRANSFORM: dict[str, Callable[[Case], Iterator[Measure]]] = {
    "tre": _target_errors,
    "params": _parameter_errors,
    "jacobian": _jacobian,
}


def _volume(source: Image, header_source: HeaderSource, *, constant: bool = False) -> Volume:
    volume = as_volume(source, header_source, constant=constant)
    if volume is not source:
        for warning in volume.warnings:
            logging.getLogger(__name__).warning("%s", warning)
    return volume


def _same_grid(a: Volume, b: Volume) -> None:
    if not a.grid.is_close(b.grid, SAME_GRID_MM):
        raise DataError(
            f"{a.path} is not on the grid of {b.path}: resample it with `stnreg apply-transform`, "
            "or have it warped by its transform",
            argument="warp",
        )


def _finite_mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
