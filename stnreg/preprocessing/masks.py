"""Read users' masks, of what to use and what to exclude, on the grids of their images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.resampling.resample import resample


@dataclass(frozen=True)
class Masks:
    """The masks of a pair.

    Attributes
    ----------
    on_grids : mapping
        From names of `NAMES` to (array, Grid), those that were given; (z, y, x) bool, as `refine_affine` takes them.
    warnings : tuple of str
        Warnings about their files.
    """

    on_grids: Mapping[str, ArrayOnGrid]
    warnings: tuple[str, ...] = ()


NAMES = ("fixed_mask", "moving_mask", "fixed_exclude", "moving_exclude")


def load_masks(
    masks: Mapping[str, Image | None], fixed: Volume, moving: Volume, header_source: HeaderSource = "auto"
) -> Masks:
    """Read the masks of a pair, each on the grid of its image.

    Parameters
    ----------
    masks : mapping
        From names of `NAMES` to images as `as_volume` takes them, or None. Non-zero is inside.
    fixed, moving : Volume
        The images. Masks on other grids are resampled.
    header_source : {"auto", "sform", "qform"}
        As the images were read.

    Returns
    -------
    Masks

    Raises
    ------
    DataError
        If a mask cannot be read, is empty, is outside its image, or is excluded completely. An empty exclude mask is
        allowed: not every patient has a lesion.
    """
    found: dict[str, ArrayOnGrid] = {}
    warnings: tuple[str, ...] = ()
    for name in NAMES:
        source, image = masks.get(name), fixed if name.startswith("fixed") else moving
        if source is not None:
            mask = as_volume(source, header_source, constant=True)
            warnings += (*mask.warnings, *place_notes(mask.grid, image, mask.path))
            found[name] = _on_grid(mask, image, name)
    for side in ("fixed", "moving"):
        included, excluded = found.get(f"{side}_mask"), found.get(f"{side}_exclude")
        if excluded is not None and not ((True if included is None else included[0]) & ~excluded[0]).any():
            raise DataError(
                f"{_path(masks[f'{side}_exclude'])}: excludes every voxel that the refinement may use. Make it smaller."
            )
    return Masks(found, warnings)


def _on_grid(mask: Volume, image: Volume, name: str) -> ArrayOnGrid:
    inside = mask.array != 0
    if not inside.any():
        if name.endswith("exclude"):
            return np.zeros(image.grid.shape, np.bool_), image.grid
        raise DataError(f"{mask.path}: the mask is empty (every voxel is 0); non-zero voxels are used.")
    if not mask.grid.is_close(image.grid):
        inside = resample(inside.view(np.uint8), mask.grid, image.grid, np.eye(4), "nearest") != 0
    if not inside.any():
        raise DataError(
            f"{mask.path}: no voxel of the mask lies inside {image.path}. A mask is drawn in the space of its own "
            "image: did you exchange fixed and moving?"
        )
    return inside, image.grid


def place_notes(grid: Grid, image: Volume, path: str) -> tuple[str, ...]:
    """Return the warning about an image with as many voxels as another, in the same order, but in another place.

    Labels are often saved without the header of the image that they were drawn on. Where the two differ by less than a
    voxel nothing is said.

    Parameters
    ----------
    grid : Grid
        Of the mask or the label map.
    image : Volume
        What it is thought to be drawn on.
    path : str
        Of the mask or the label map.
    """
    if grid.size != image.grid.size:
        return ()
    apart_mm = float(np.linalg.norm(grid.corners_lps() - image.grid.corners_lps(), axis=1).max())
    if apart_mm <= float(image.grid.spacing.min()):
        return ()
    return (
        f"{path}: has as many voxels as {image.path}, but its header places them up to {apart_mm:.0f} mm away, and it "
        "is used where its header says. If it was drawn on that image, copy the header of that image to it.",
    )


def _path(source: Any) -> str:
    return source.path if isinstance(source, Volume) else str(source)
