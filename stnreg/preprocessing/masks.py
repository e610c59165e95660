"""Read users' masks, of what to use and what to exclude, on the grids of their images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.resampling.resample import resample

NAMES = ("fixed_mask", "moving_mask", "fixed_exclude", "moving_exclude")


def load_masks(
    masks: Mapping[str, Image | None], fixed: Volume, moving: Volume, header_source: HeaderSource = "auto"
) -> dict[str, ArrayOnGrid]:
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
    masks : dict of str to (array, Grid)
        Those that were given; (z, y, x) bool, as `refine_affine` takes them.

    Raises
    ------
    DataError
        If a mask cannot be read, is empty, is outside its image, or is excluded completely. An empty exclude mask is
        allowed: not every patient has a lesion.
    """
    found = {}
    for name in NAMES:
        mask = masks.get(name)
        if mask is not None:
            found[name] = _load(mask, fixed if name.startswith("fixed") else moving, name, header_source)
    for side in ("fixed", "moving"):
        included, excluded = found.get(f"{side}_mask"), found.get(f"{side}_exclude")
        if excluded is not None and not ((True if included is None else included[0]) & ~excluded[0]).any():
            raise DataError(
                f"{_path(masks[f'{side}_exclude'])}: excludes every voxel that the refinement may use. Make it smaller."
            )
    return found


def _load(source: Image, image: Volume, name: str, header_source: HeaderSource) -> ArrayOnGrid:
    mask = as_volume(source, header_source, constant=True)
    inside = mask.array != 0
    if not inside.any():
        if name.endswith("exclude"):
            return np.zeros(image.grid.shape, np.bool_), image.grid
        raise DataError(f"{_path(source)}: the mask is empty (every voxel is 0); non-zero voxels are used.")
    if not mask.grid.is_close(image.grid):
        inside = resample(inside.view(np.uint8), mask.grid, image.grid, np.eye(4), "nearest") != 0
    if not inside.any():
        raise DataError(
            f"{_path(source)}: no voxel of the mask lies inside {image.path}. A mask is drawn in the space of its own "
            "image: did you exchange fixed and moving?"
        )
    return inside, image.grid


def _path(source: Any) -> str:
    return source.path if isinstance(source, Volume) else str(source)
