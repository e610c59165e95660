"""What changed between the visits: displacements from the template to each, and the volumes of regions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from stnreg.core.memory import give_back
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.series.contrast import (
    evened,
    noise_of,
    quiet_mean,
    weight_of_first,
    without_noise_floor,
)
from stnreg.registration.series.flow import Flow, flow_between, volume_factor
from stnreg.registration.series.regions import (
    BRAIN,
    VENTRICLES,
    Regions,
    boundary_per_volume,
    contrast_levels,
    grouped_maps,
    make_regions,
)
from stnreg.registration.series.rounds import ignored_on
from stnreg.registration.series.template import gains, on_grid
from stnreg.resampling.resample import resample

Array = np.ndarray
MARGIN_VOXELS = 8
COARSE_MM = 1.5  # voxels whose partial volume hides the edges that a change moves
WITH_ERROR = (BRAIN, VENTRICLES, "hippocampus_L", "hippocampus_R")
"""Regions whose standard error is computed: each takes seconds."""
SHIFT_MM = 0.0055
"""How far a boundary seems to move, all of it alike, where nothing changed.

It is what the residuals of a pair do not show: what is left of the bias field, of differences in resolution and of the
alignment. Of a region it is this times the area of its boundary over its volume. `benchmarks.series.told_error` derives
it from simulated tuning pairs: the upper 95 % limit of what they tell, as from few pairs the mean may be too small.
"""
EDGE_MM = 0.07
"""How far the edge of a region may lie from the true one, all of it alike: `benchmarks.series.told_error` derives it.

A region that is too large or too small changes by another percentage.
"""


@dataclass(frozen=True, eq=False)
class ChangeResult:
    """The change between the visits that are kept.

    Attributes
    ----------
    log_volume : dict of str to list of float
        For each region the logarithm of its volume at each visit over its volume in the template.
    error : dict of str to list of float
        Standard errors of those by the residuals, where they were computed.
    boundary_per_mm : dict of str to float
        Area of the boundary of each region in `error` over its volume, 1 / mm: what the residuals do not show grows
        with it.
    volume_ml : dict of str to float
        Volume of each region in the template.
    log_jacobian : list of (z, y, x) float32
        Of each visit on the grid of the template: above 0 the visit is larger there. 0 outside the brain.
    displacement : list of (3, z, y, x) float32
        From the template to each visit, on `grid`; components along x, y, z in voxels.
    grid : Grid
        A box around the brain, part of the template's grid.
    """

    log_volume: dict[str, list[float]]
    error: dict[str, list[float]]
    boundary_per_mm: dict[str, float]
    volume_ml: dict[str, float]
    log_jacobian: list[Array]
    displacement: list[Array]
    grid: Grid

    def percent(self, region: str, earlier: int, later: int) -> tuple[float, float | None]:
        """Return the change of a region between two visits, in percent of the earlier one, and its standard error."""
        logs = self.log_volume[region]
        change = float(np.exp(logs[later] - logs[earlier]))
        if region not in self.error:
            return 100 * (change - 1), None
        systematic = systematic_error(self.boundary_per_mm[region], logs[later] - logs[earlier])
        error = np.hypot(self.error_by_residuals(region, earlier, later), systematic)
        return 100 * (change - 1), 100 * change * float(error)

    def error_by_residuals(self, region: str, earlier: int, later: int) -> float:
        """Return the standard error of the logarithm of a change by the residuals; of regions in `error`."""
        errors = self.error[region]
        # Of two visits the two displacements are one, halved.
        return errors[0] * 2 if len(errors) == 2 else float(np.hypot(errors[earlier], errors[later]))


def voxel_warnings(visits: Sequence[EncodedImage], names: Sequence[str]) -> tuple[str, ...]:
    """Name the visits whose voxels are too coarse for a change to be believed."""
    told = []
    for visit, name in zip(visits, names, strict=True):
        coarse_mm = float(visit.volume.grid.spacing.max())
        if coarse_mm > COARSE_MM:
            told.append(
                f"{name}: voxels of {coarse_mm:.1f} mm are too coarse for --change, which was tested up to 1.2 mm: "
                "do not use its numbers"
            )
    return tuple(told)


def systematic_error(
    boundary_per_mm: ArrayLike, log_change: ArrayLike, shift_mm: ArrayLike = SHIFT_MM, edge_mm: ArrayLike = EDGE_MM
) -> Array:
    """Return the standard error of the logarithm of a change by what the residuals do not show.

    Parameters
    ----------
    boundary_per_mm : float or array
        Area of the boundary of the region over its volume.
    log_change : float or array
    shift_mm, edge_mm : float or array
        `SHIFT_MM` and `EDGE_MM`.
    """
    return np.asarray(boundary_per_mm) * np.hypot(shift_mm, np.asarray(edge_mm) * np.asarray(log_change))


def measure_change(
    visits: Sequence[EncodedImage],
    maps: Sequence[Matrix],
    template_grid: Grid,
    threads: int,
    masks: Sequence[Volume | None] = (),
) -> ChangeResult:
    """Measure the change between the visits of one person.

    Each visit is compared with the mean of the others, halfway; a visit that differs by d from the mean of all differs
    by d n / (n - 1) from the others.

    Parameters
    ----------
    visits : sequence of EncodedImage
    maps : sequence of (4, 4) float64
        From the space of the template to each visit, LPS mm.
    template_grid : Grid
        Isotropic, or made so.
    threads : int
    masks : sequence of Volume or None
        The part of each visit to ignore, on its grid: there the displacement is interpolated.
    """
    give_back()
    count = len(visits)
    soft = _mean_maps(visits, maps, _coarse(template_grid))
    grid, corner = _brain_box(soft[BRAIN], template_grid)
    on_box = {name: resample(*one, grid, np.eye(4)) for name, one in soft.items()}
    brain = on_box.pop(BRAIN)
    ignored = ignored_on(grid, [((m.array, m.grid), a_to_b) for m, a_to_b in zip(masks, maps, strict=False) if m])
    compared = np.float32(1) if ignored is None else (~ignored).astype(np.float32)
    images, variances = _comparable(visits, maps, grid, brain * compared, threads)
    mean = quiet_mean(images, variances)
    fluid, tissue = contrast_levels(mean, brain, on_box[VENTRICLES])
    images = [((image - fluid) / (tissue - fluid)).astype(np.float32) for image in images]
    regions = make_regions((mean - fluid) / (tissue - fluid), on_box, brain)
    regions = replace(regions, weight=regions.weight * compared)
    del on_box, mean  # each of a dozen maps is as large as an image
    give_back()
    flows = _flows(images, variances, regions, grid, fluid / (tissue - fluid), threads)
    share = (count - 1) / count
    errors = {}
    for name in WITH_ERROR:
        if name in regions.masks:
            own = [share * flow.error_of(regions.masks[name]) for flow in flows]
            errors[name] = own if count > 2 else own * 2
    # A flow goes from -u / 2 in the others to +u / 2 in the visit.
    fields = [share * flow.displacement for flow in flows] if count > 2 else _halves(flows[0])
    del flows, images
    volumes = [volume_factor(field) for field in fields]
    sizes = {name: mask.sum(dtype=float) for name, mask in regions.masks.items()}
    logs = {
        name: [float(np.log((mask * one).sum(dtype=float) / sizes[name])) for one in volumes]
        for name, mask in regions.masks.items()
    }
    spacing_mm = float(grid.spacing.mean())
    voxel_ml = float(abs(np.linalg.det(grid.index_to_lps[:3, :3]))) / 1000
    inside = np.clip(2 * regions.weight, 0, 1)
    return ChangeResult(
        logs,
        errors,
        {name: boundary_per_volume(regions.masks[name], spacing_mm) for name in errors},
        {name: float(size) * voxel_ml for name, size in sizes.items()},
        [_whole(np.log(np.maximum(one, 0.05)) * inside, template_grid, corner) for one in volumes],
        fields,
        grid,
    )


def _comparable(
    visits: Sequence[EncodedImage], maps: Sequence[Matrix], grid: Grid, brain: Array, threads: int
) -> tuple[list[Array], list[float]]:
    """Return the visits on a grid, of one brightness and one bias field, and the variance of the noise of each.

    The variance is that of the noise that blurring leaves: it grows with the voxels of the visit.
    """
    scans = [(one.volume.array, one.volume.grid) for one in visits]
    images = [
        np.nan_to_num(on_grid(one, grid, a_to_b, "linear", threads)) for one, a_to_b in zip(scans, maps, strict=True)
    ]
    noise = [noise_of(one, (v.encoding.brain, v.encoding.maps_grid)) for one, v in zip(scans, visits, strict=True)]
    images = [without_noise_floor(image, level) for image, level in zip(images, noise, strict=True)]
    factors = gains(images, brain > 0.5)
    images = [image * np.float32(gain) for image, gain in zip(images, factors, strict=True)]
    variances = [
        (level * gain) ** 2 * abs(float(np.linalg.det(own.index_to_lps[:3, :3])))
        for level, gain, (_, own) in zip(noise, factors, scans, strict=True)
    ]
    return evened(images, variances, grid, np.clip(2 * brain - 0.5, 0, 1).astype(np.float32)), variances


def _flows(
    images: Sequence[Array], variances: Sequence[float], regions: Regions, grid: Grid, floor: float, threads: int
) -> list[Flow]:
    """Compare two visits with each other; of more, each with the mean of the others."""
    if len(images) == 2:
        share = weight_of_first(*variances)
        return [flow_between(images[0], images[1], regions.weight, grid, floor, threads, share)]
    total, noise, others = np.sum(images, axis=0), sum(variances), len(images) - 1
    return [
        flow_between(
            (total - one) / others, one, regions.weight, grid, floor, threads,
            weight_of_first((noise - own) / others**2, own),
        )
        for one, own in zip(images, variances, strict=True)
    ]  # fmt: skip


def _halves(flow: Flow) -> list[Array]:
    half = flow.displacement / 2
    return [-half, half]


def _mean_maps(visits: Sequence[EncodedImage], maps: Sequence[Matrix], coarse: Grid) -> dict[str, tuple[Array, Grid]]:
    """Return the mean of the soft maps of all visits, on a coarse grid."""
    parts = [
        grouped_maps(one.encoding.maps, one.encoding.maps_grid, coarse, to_visit)
        for one, to_visit in zip(visits, maps, strict=True)
    ]
    found = {name: np.mean([part[name][0] for part in parts], axis=0) for name in parts[0]}
    # Outside the maps there is no background either.
    seen = np.mean(
        [
            resample(np.ones(one.encoding.maps.shape[1:], np.float32), one.encoding.maps_grid, coarse, to_visit)
            for one, to_visit in zip(visits, maps, strict=True)
        ],
        axis=0,
    )
    found[BRAIN] = np.minimum(found[BRAIN], seen)
    return {name: (one.astype(np.float32), coarse) for name, one in found.items()}


def _coarse(grid: Grid) -> Grid:
    return Grid.cube(grid.center_lps, np.ceil(grid.extent_mm / 2.5).astype(int), 2.5)


def _brain_box(brain: tuple[Array, Grid], grid: Grid) -> tuple[Grid, tuple[int, int, int]]:
    """Return the box of a grid around the brain, and the index (x, y, z) of its corner."""
    index = np.argwhere(brain[0] > 0.2)[:, ::-1]
    to_grid = grid.lps_to_index @ brain[1].index_to_lps
    place = index @ to_grid[:3, :3].T + to_grid[:3, 3]
    low = np.maximum(np.floor(place.min(0)).astype(int) - MARGIN_VOXELS, 0)
    high = np.minimum(np.ceil(place.max(0)).astype(int) + MARGIN_VOXELS + 1, grid.size)
    to_index = np.eye(4)
    to_index[:3, 3] = low
    return Grid(high - low, grid.index_to_lps @ to_index), tuple(int(n) for n in low)  # type: ignore[return-value]


def _whole(part: Array, grid: Grid, corner: tuple[int, int, int]) -> Array:
    """Return an array on the whole grid, 0 outside its part."""
    out = np.zeros(grid.shape, np.float32)
    x, y, z = corner
    out[z : z + part.shape[0], y : y + part.shape[1], x : x + part.shape[2]] = part
    return out
