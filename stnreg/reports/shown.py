"""What the pages show of a pair, read back from its preview: slices of the moved image with the mask of the brain."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.reports.outlines import BRAIN

Array = NDArray[np.float32]
SAGITTAL = 0
"""Its number in `stnreg.reports.tiles.PLANES`: these slices show one side each."""
SYMMETRIC = 0.9
"""Least correlation of a fixed image with its own mirror image for it to count as symmetric."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One slice of a preview.

    Attributes
    ----------
    fixed, moved : (rows, columns) float32
        Grey values, 0 to 255.
    brain : (rows, columns) bool
        The brain of the fixed image.
    both : (rows, columns) bool
        What of the brain has its mirror image, about the plane x = 0, in the brain too. Empty in a sagittal slice.
    other : (columns,) int
        The column of the mirror image of each column.
    spacing_mm : float
    """

    fixed: Array
    moved: Array
    brain: NDArray[np.bool_]
    both: NDArray[np.bool_]
    other: NDArray[np.int64]
    spacing_mm: float

    @property
    def half(self) -> NDArray[np.bool_]:
        """What of `both` lies on the left of the picture, (rows, columns)."""
        return self.both & (np.arange(len(self.other)) < self.other)


def slices_of(preview: Mapping[str, Any]) -> list[Shown]:
    """Return the slices of a preview, see `stnreg.reports.tiles.describe_tiles`."""
    fixed, moved, codes = (_pixels(preview[name]) for name in ("fixed", "moved", "fixed_codes"))
    spacing_mm, top, found = float(preview["spacing_mm"]), 0, []
    for place in preview["slices"]:
        width, height = place["size"]
        part = slice(top, top + height), slice(0, width)
        top += height
        brain = codes[part] // 16 >= BRAIN
        columns = np.arange(width)
        mirrored = round(-2 * place["origin"][0] / spacing_mm) - columns
        is_in = (mirrored >= 0) & (mirrored < width) & (place["plane"] != SAGITTAL)
        other = mirrored.clip(0, width - 1)
        found.append(Shown(fixed[part], moved[part], brain, brain & brain[:, other] & is_in, other, spacing_mm))
    return found


def is_symmetric(slices: Sequence[Shown]) -> bool:
    """Say whether the fixed image correlates with its own mirror image."""
    pairs = [(one.fixed[one.half], one.fixed[:, one.other][one.half]) for one in slices if one.half.any()]
    if sum(len(left) for left, _ in pairs) < 100:
        return False
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return correlation(left, right) >= SYMMETRIC


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Pearson's correlation of two vectors; 0 if one is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def flattened(image: Array, mask: NDArray[np.bool_], detail: float, surround: float) -> Array:
    """Return an image without what is smooth, in units of the local contrast, a little smoothed itself.

    Parameters
    ----------
    image, mask : (rows, columns)
        Outside the mask nothing counts.
    detail, surround : float
        Standard deviations, in pixels: of the last smoothing, and of the surroundings that are taken out.
    """
    from scipy.ndimage import gaussian_filter

    weight = smoothed_mask(mask, surround) + 1e-3
    offset = (image - gaussian_filter(image * mask, surround) / weight) * mask
    contrast = np.sqrt(gaussian_filter(offset**2, surround) / weight) + 1
    return gaussian_filter(offset / contrast, detail)


def smoothed_mask(mask: NDArray[np.bool_], sigma: float) -> Array:
    """Return a mask as float32, smoothed; kept, because the scans of a study mostly share their fixed image."""
    return _smoothed_bytes(mask.tobytes(), mask.shape, sigma)


@lru_cache(maxsize=64)
def _smoothed_bytes(mask: bytes, shape: tuple[int, int], sigma: float) -> Array:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.frombuffer(mask, np.bool_).reshape(shape).astype(np.float32), sigma)
    smooth.setflags(write=False)
    return smooth


def _pixels(address: str) -> Array:
    """Return the grey values of a picture in a data address, (rows, columns)."""
    from PIL import Image

    data = base64.b64decode(address.partition(",")[2].partition("#")[0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
