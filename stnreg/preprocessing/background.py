"""A background that is not dark: bright, or noise between dark and bright. It becomes 0.

Air is judged by what lies along the twelve edges of the field of view, where a head never is.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.grid import ArrayOnGrid, Grid
from stnreg.preprocessing.components import largest_component, onto
from stnreg.resampling.block_mean import block_mean, shrink_factors

EDGE_MM = 10.0
"""Width of the beams along the edges."""
BLOCK_MM = 4.0
DARK = 0.12
"""Air of an ordinary image is below this share of the range: the median of the edges, and twice that its noise."""
FLAT = 0.03
"""Share of the range that a flat background may differ by."""
MOST_SPREAD = 0.2
"""The same of one with noise, which is still bright."""
NOISY, QUIET = 0.06, 0.6
"""Least noise of a noisy background, as a share of the range; and most noise of the middle, as a share of that."""
OPENING_MM = 12.0


def without_background(image: ArrayOnGrid) -> NDArray[Any]:
    """Set a background that is bright or noisy to 0; an image whose background is dark is returned as it is.

    Parameters
    ----------
    image : (array, Grid)
        (z, y, x), from about 0.
    """
    array, grid = image
    edges = _edges(array, grid)
    low, high = _range(array)
    width = high - low
    if width <= 0:
        return array
    level = (float(np.median(edges)) - low) / width
    spread = float(np.percentile(edges, 90) - np.percentile(edges, 10)) / width
    if level < DARK and spread < 2 * DARK:
        return array
    head = None if spread < FLAT else _apart_from_noise(image, width)
    if head is None and spread < MOST_SPREAD:
        head = _apart_from_flat(image, edges, max(FLAT, spread) * width)
    if head is None or not 0.02 < head[0].mean() < 0.9:
        return array
    return (array.astype(np.float32) - np.float32(low)).clip(0) * onto(*head, grid)


def _range(array: NDArray[Any]) -> tuple[float, float]:
    step = max(round((array.size / 100_000) ** (1 / 3)), 1)
    low, high = np.percentile(array[::step, ::step, ::step], (1, 99))
    return float(low), float(high)


def _edges(array: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Return some voxels of the beams along the twelve edges of the field of view."""
    widths = [min(max(round(EDGE_MM / float(s)), 1), n) for s, n in zip(grid.spacing[::-1], array.shape, strict=True)]
    beams = []
    for axis in range(3):
        for ends in product((0, 1), repeat=2):
            place = [slice(None, None, 3)] * 3
            for other, end in zip((k for k in range(3) if k != axis), ends, strict=True):
                place[other] = slice(array.shape[other] - widths[other], None) if end else slice(0, widths[other])
            beams.append(array[tuple(place)].ravel())
    return np.concatenate(beams)


def _apart_from_flat(image: ArrayOnGrid, edges: NDArray[Any], spread: float) -> tuple[NDArray[np.bool_], Grid] | None:
    """Return where an image differs from its background, in blocks."""
    means, coarse = block_mean(*image, BLOCK_MM)
    differs = np.abs(means - np.float32(np.median(edges))) > 2 * np.float32(spread)
    head = largest_component(differs, coarse, OPENING_MM)
    return None if head is None else (head, coarse)


def _apart_from_noise(image: ArrayOnGrid, width: float) -> tuple[NDArray[np.bool_], Grid] | None:
    """Return where an image is smooth, in blocks; None if its edges are no noisier than its middle."""
    array, grid = image
    noise = np.zeros(array.shape, np.float32)
    values = array.astype(np.float32)
    for axis in range(3):
        ahead = [slice(None)] * 3
        ahead[axis] = slice(1, None)
        noise[tuple(ahead)] += np.abs(np.diff(values, axis=axis))
    roughness, coarse = block_mean(noise / np.float32(3 * width), grid, BLOCK_MM)
    roughness = _box3(roughness, [2 if f < 2 else 1 for f in shrink_factors(grid, BLOCK_MM)[::-1]])
    outer = float(np.median(_edges(roughness, coarse)))
    middle = tuple(slice(n // 3, n - n // 3) for n in roughness.shape)
    inner = float(np.median(roughness[middle]))
    if outer < NOISY or inner > QUIET * outer:
        return None
    head = largest_component(roughness < (inner + outer) / 2, coarse, OPENING_MM)
    return None if head is None else (head, coarse)


def _box3(values: NDArray[np.float32], reach: list[int]) -> NDArray[np.float32]:
    """Average over boxes of 2 reach + 1 voxels; the border is repeated."""
    out = values
    for axis, r in enumerate(reach):
        padded = np.pad(out, [(r, r) if a == axis else (0, 0) for a in range(3)], mode="edge")
        count = out.shape[axis]
        parts = [np.take(padded, np.arange(k, k + count), axis=axis) for k in range(2 * r + 1)]
        out = np.mean(parts, axis=0, dtype=np.float32)
    return out
