"""The encoding of a template, kept in a file beside it, so that it is not computed again for each pair."""

import os
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.templates import is_shipped
from stnreg.models.calibration import Calibration
from stnreg.models.card import Weights
from stnreg.registration.anatomy.encoding import Encoding

LEVELS = 65535
"""Steps of the stored maps between 0 and 1."""
ARRAYS = ("centroids_lps", "weights", "template_to_lps", "volumes_mm3")
NUMBERS = ("residual_mm", "fit_residual_mm")
DERIVED = ("maps", "maps_grid", "calibration", "has_head", "alternatives")
"""Members that are stored in another way, or are the same in every template."""


def file_of(image: str | os.PathLike[str]) -> Path:
    """Return the file of an image's encoding: `NAME_anatomy.npz` beside it."""
    path = Path(image)
    return path.with_name(f"{path.name.partition('.')[0]}_anatomy.npz")


def stored_encoding(image: str | os.PathLike[str], weights: Weights) -> Encoding | None:
    """Return the encoding of a template that comes with stnreg; None for any other image and any other network."""
    if not is_shipped(image):  # also an image in memory, which has no path
        return None
    path = file_of(image)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as held:
            if str(held["network"]) != weights.identity:
                return None
            maps = held["maps"].astype(np.float32) / np.float32(LEVELS)
            grid = Grid((maps.shape[3], maps.shape[2], maps.shape[1]), held["maps_index_to_lps"])
            arrays = {name: held[name] for name in ARRAYS} | {name: float(held[name]) for name in NUMBERS}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: is damaged ({error}); install stnreg again") from error
    calibration = Calibration.from_card(weights.card, weights.path.with_suffix(".json"))
    return Encoding(maps=maps, maps_grid=grid, calibration=calibration, **arrays)


def save_encoding(path: str | os.PathLike[str], encoding: Encoding, weights: Weights) -> None:
    """Write an encoding; the same one gives the same bytes.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    assert {f.name for f in fields(Encoding)} == {*ARRAYS, *NUMBERS, *DERIVED}
    assert encoding.has_head  # a template shows one
    arrays: dict[str, Any] = {name: np.asarray(getattr(encoding, name)) for name in (*ARRAYS, *NUMBERS)}
    content = BytesIO()
    np.savez_compressed(
        content,
        network=np.array(weights.identity),
        maps=np.rint(encoding.maps * LEVELS).astype(np.uint16),
        maps_index_to_lps=encoding.maps_grid.index_to_lps,
        **arrays,
    )
    write_atomic(path, content.getvalue())
