"""Masks that people draw: where to look, and where not to, brought to the grid of the image that they belong to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.inputs import Image, as_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.resampling.resample import resample

Mask = tuple[NDArray[np.bool_], Grid]
NAMES = ("fixed_mask", "moving_mask", "fixed_exclude", "moving_exclude")


def load_masks(
    masks: Mapping[str, Image | None], fixed: Volume, moving: Volume, header_source: HeaderSource = "auto"
) -> dict[str, Mask]:
    """Read the masks of a pair, each on the grid of its image.

    Parameters
    ----------
    masks : mapping
        From names of `NAMES` to what `as_volume` takes, or None. Non-zero is inside.
    fixed, moving : Volume
        The images, which the masks are resampled to where their grids differ.
    header_source : {"auto", "sform", "qform"}
        As the images were read.

    Returns
    -------
    masks : dict of str to (array, Grid)
        Those that were given; (z, y, x) bool. What `refine_affine` takes.

    Raises
    ------
    DataError
        If a mask cannot be read, holds nothing, lies outside its image, or is wholly excluded. An exclude that holds
        nothing is welcome: not every patient has a lesion.
    """
    found = {}
    for name in NAMES:
        given = masks.get(name)
        if given is not None:
            found[name] = _load(given, fixed if name.startswith("fixed") else moving, name, header_source)
    for side in ("fixed", "moving"):
        looked_at, excluded = found.get(f"{side}_mask"), found.get(f"{side}_exclude")
        if excluded is not None and not ((True if looked_at is None else looked_at[0]) & ~excluded[0]).any():
            raise DataError(
                f"{_path(masks[f'{side}_exclude'])}: excludes every voxel that the refinement may use. Make it smaller."
            )
    return found


def _load(given: Image, image: Volume, name: str, header_source: HeaderSource) -> Mask:
    mask = as_volume(given, header_source, constant=True)
    inside = mask.array != 0
    if not inside.any():
        if name.endswith("exclude"):
            return np.zeros(image.grid.shape, np.bool_), image.grid
        raise DataError(f"{_path(given)}: the mask is empty (every voxel is 0); non-zero voxels are used.")
    if not mask.grid.is_close(image.grid):
        inside = resample(inside.view(np.uint8), mask.grid, image.grid, np.eye(4), "nearest") != 0
    if not inside.any():
        raise DataError(
            f"{_path(given)}: no voxel of the mask lies inside {image.path}. A mask is drawn in the space of its own "
            "image: did you exchange fixed and moving?"
        )
    return inside, image.grid


def _path(given: Any) -> str:
    return given.path if isinstance(given, Volume) else str(given)
