"""The regions whose volume is told: sharp masks of brain tissue and ventricles, and lobes by the anatomy maps."""

from dataclasses import dataclass

import numpy as np

from stnreg.core.structures import STRUCTURES
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.registration.series.contrast import smoothed
from stnreg.resampling.resample import resample

Array = np.ndarray
TISSUE = 0.45  # in units of contrast: halfway between CSF and grey matter
WALL_VOXELS = 2, 4  # from the ventricles: there the tissue of their wall is measured, beyond the blur of the edge
LOW_WALL, WALL_BLUR_VOXELS = 0.5, 2.0  # the least that it is taken as, and over how far it is averaged
BRAIN = "brain"
VENTRICLES = "lateral_ventricles"
OTHER_FLUID = "other_fluid"
"""Map of what fluid may be besides the lateral ventricles: third and fourth ventricle, and all outside the brain."""
MORE_LIKELY = 1.5  # by this factor, than other fluid, is what counts as of the ventricles
LEAST_VOXELS = 30  # a smaller piece of fluid is noise
LOBES = ("frontal", "parietal", "temporal", "occipital")


@dataclass(frozen=True, eq=False)
class Regions:
    """Masks on one grid.

    Attributes
    ----------
    masks : dict of str to (z, y, x) float32
        Share of each voxel that is in the region. `brain` is tissue without ventricles.
    weight : (z, y, x) float32
        Where images are compared: the brain and its edges.
    """

    masks: dict[str, Array]
    weight: Array


def structure_groups() -> dict[str, list[int]]:
    """Return the indices of the structures of each region."""
    groups: dict[str, list[int]] = {}
    for k, one in enumerate(STRUCTURES):
        base = one.group.rsplit("_", 1)[0] if one.side != "-" else one.group
        if one.name.endswith("_white") and one.name.split("_")[0] in LOBES:
            base = one.name.split("_")[0]
        if one.name == "hippocampus" or base in LOBES:
            groups.setdefault(f"{base}_{one.side}", []).append(k)
        if one.name.startswith("cerebellum") or one.name == "vermis":
            groups.setdefault("cerebellum", []).append(k)
        if one.name == "lateral_ventricle":
            groups.setdefault(VENTRICLES, []).append(k)
        if one.name in ("third_ventricle", "fourth_ventricle"):
            groups.setdefault(OTHER_FLUID, []).append(k)
    return groups


def contrast_levels(mean: Array, brain: Array, ventricles: Array) -> tuple[float, float]:
    """Return the intensities of CSF, from the cores of the ventricles, and of the typical brain."""
    core = ventricles > 0.7
    if core.sum() < 50:
        core = ventricles >= np.sort(ventricles, axis=None)[-200]
    return float(np.median(mean[core])), float(np.median(mean[brain > 0.5]))


def make_regions(mean: Array, maps: dict[str, Array], brain: Array) -> Regions:
    """Make the masks from the mean image and the soft maps.

    Tissue is what is brighter than halfway between CSF and grey matter, connected, and in or near the brain map: the
    maps have voxels of 5 mm, and the image decides where the brain ends.

    Parameters
    ----------
    mean : (z, y, x) float32
        Mean of all visits, in units of contrast.
    maps : dict of str to (z, y, x) float32
        Soft maps of `grouped_maps`, without the brain.
    brain : (z, y, x) float32
        Soft brain map.
    """
    from scipy import ndimage

    smooth = smoothed(mean, 0.7)
    tissue = ndimage.binary_opening((smooth > TISSUE) & (brain > 0.3))
    labels, _ = ndimage.label(tissue)
    tissue = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    fluid = _ventricles(mean, maps[VENTRICLES], maps[OTHER_FLUID])
    edges = np.clip((smoothed(tissue.astype(np.float32), 1.2) - 0.05) / 0.3, 0, 1)
    weight = np.maximum(edges, smoothed((fluid > 0.3).astype(np.float32), 1.0) > 0.2).astype(np.float32)
    solid = tissue * (1 - fluid)  # no voxel of the wall counts twice
    masks = {BRAIN: solid, VENTRICLES: fluid}
    for name, own in maps.items():
        if name not in (VENTRICLES, OTHER_FLUID):
            masks[name] = solid * np.clip(own / np.maximum(brain, 0.2), 0, 1)
    return Regions({name: one for name, one in masks.items() if one.sum() > 100}, weight)


def _ventricles(mean: Array, ventricles: Array, other: Array) -> Array:
    """Return the share of each voxel that is in the ventricles, (z, y, x) float32.

    The image tells where there is fluid, and the maps which one: their voxels of 5 mm hold a thin horn faintly, but
    the fluid in it is more likely of the ventricles than any other. The share falls from 1 to 0 over the middle third
    of the contrast between the fluid (0) and the wall, which is grey in places and white in others. A displacement is
    known at the wall alone, and inside it is interpolated: a mask that ends before the wall, or leaves out the choroid
    plexus, is a smaller region that grows by the same volume, by too large a percentage.
    """
    from scipy import ndimage

    own = ventricles > MORE_LIKELY * other
    inside = _without_specks(own & (mean < TISSUE))
    for _ in range(2):  # the first pass finds the edge, from which the place of the wall is counted
        near = ndimage.binary_dilation(inside, iterations=2) & own
        share = np.clip(2 - 3 * mean / _wall(mean, inside), 0, 1) * near
        inside = share > 0.5
    return np.asarray(share, np.float32)


def _wall(mean: Array, inside: Array) -> Array:
    """Return the brightness of the tissue around a mask at each voxel, from that nearby."""
    from scipy import ndimage

    inner, outer = (ndimage.binary_dilation(inside, iterations=n) for n in WALL_VOXELS)
    around = (outer & ~inner & (mean > LOW_WALL)).astype(np.float32)
    total, count = (smoothed(one, WALL_BLUR_VOXELS) for one in (around * mean, around))
    return np.asarray(np.maximum(total / np.maximum(count, 1e-4), LOW_WALL), np.float32)


def _without_specks(mask: Array) -> Array:
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    return (sizes >= LEAST_VOXELS)[labels] & mask


def boundary_per_volume(mask: Array, spacing_mm: float) -> float:
    """Return the area of the boundary of a mask over its volume, 1 / mm.

    Parameters
    ----------
    mask : (z, y, x) float32
        Share of each voxel that is in the region.
    spacing_mm : float
        Edge of a voxel.
    """
    steep = np.sqrt(sum(np.gradient(mask, axis=axis) ** 2 for axis in range(3)))
    return float(steep.sum(dtype=float) / max(float(mask.sum(dtype=float)), 1e-6) / spacing_mm)


def grouped_maps(maps: Array, maps_grid: Grid, grid: Grid, grid_to_visit: Array) -> dict[str, ArrayOnGrid]:
    """Resample the maps of each region, and of the brain, to a grid: `brain` and `structure_groups`.

    What is outside the brain counts as other fluid.
    """
    parts = {name: maps[which].sum(0) for name, which in structure_groups().items()}
    parts[BRAIN] = 1 - maps[0]
    parts[OTHER_FLUID] = parts[OTHER_FLUID] + maps[0]
    return {name: (resample(one, maps_grid, grid, grid_to_visit), grid) for name, one in parts.items()}
