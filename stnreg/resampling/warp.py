"""Resample an image to another grid by any transform, in one interpolation."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnreg.core.itk import has_itk
from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.resampling.by_scipy import at_indices
from stnreg.resampling.labels import _CORNERS, CHUNK, _has_other_neighbours, _heaviest
from stnreg.resampling.resample import (
    _ITK_NAME,
    INTERPOLATIONS,
    KEEPING,
    PLAIN,
    Interpolation,
    _Held,
    _known_to_itk,
    resample,
)
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import slabs

SLAB_VOXELS = 1 << 20
"""Voxels of the fixed grid per slab: ITK's displacements of them take 24 MB."""
WORTHWHILE = 0.8
"""A warp that moves at most this share of the fixed grid is applied there; the affine alone, elsewhere, is faster."""


def resample_through(
    array: NDArray[Any],
    moving_grid: Grid,
    fixed_grid: Grid,
    fixed_to_moving: Transform,
    interp: Interpolation = "linear",
    background: float = 0.0,
    threads: int | None = None,
) -> NDArray[Any]:
    """Resample a moving image to the fixed grid by any transform; otherwise as `resample`.

    Linear transforms are passed to `resample`, with identical results. For others each fixed voxel is mapped once to
    its moving index, in double precision, and ITK interpolates there, or scipy, as in `resample`.

    Parameters
    ----------
    array : ([t,] z, y, x)
        The moving image, a real or integer type, or a series of them: its volumes share the work on the transform.
    moving_grid, fixed_grid : Grid
        Grid of `array`, and of the result.
    fixed_to_moving : Transform
        Maps fixed LPS points to moving LPS points, mm.
    interp, background, threads
        As `resample`. Threads are ITK's; the result does not depend on them.

    Returns
    -------
    moved : ([t,] z, y, x)
        On `fixed_grid`; the type of `array` for "nearest" and "label", else float32.

    Raises
    ------
    DataError
        If `array` is not on `moving_grid`.
    UsageProblem
        If the interpolation is none of these.
    """
    matrix = fixed_to_moving.matrix
    volumes = array if array.ndim == 4 else array[None]
    if matrix is not None:
        each = [resample(volume, moving_grid, fixed_grid, matrix, interp, background, threads) for volume in volumes]
        return np.stack(each) if array.ndim == 4 else each[0]
    if interp not in INTERPOLATIONS:
        raise UsageProblem(f"expected an interpolation out of {', '.join(INTERPOLATIONS)}, got {interp!r}")
    if volumes.shape[1:] != moving_grid.shape:
        raise DataError(f"expected an array on the moving grid {moving_grid.shape}, got {array.shape}")
    volumes = np.ascontiguousarray(_known_to_itk(volumes))
    keeps_type = interp in KEEPING
    found = np.empty((len(volumes), *fixed_grid.shape), volumes.dtype if keeps_type else np.float32)
    local = _local(fixed_to_moving, fixed_grid)
    if local is not None:
        for volume, place in zip(volumes, found, strict=True):
            place[:] = resample(volume, moving_grid, fixed_grid, local.elsewhere, interp, background, threads)
    part, grid = ((slice(None),) * 3, fixed_grid) if local is None else (local.part, local.grid)
    for slab in slabs(grid, SLAB_VOXELS):
        if local is None:
            index = _moving_index(fixed_to_moving, moving_grid, grid, slab)
        else:
            index = _moving_index(*local.within(slab, moving_grid))
        transform = _itk_displacement(index) if has_itk() else None
        for volume, place in zip(volumes, found[(slice(None), *part)], strict=True):
            if transform is None:
                place[slab] = _sampled_by_scipy(volume, index, interp, background)
            else:
                place[slab] = _sampled(volume, index, transform, interp, background, threads)
    found = found.reshape(*array.shape[:-3], *fixed_grid.shape)
    return found.astype(array.dtype, copy=False) if keeps_type else found


class _Local(NamedTuple):
    """A warp on the fixed grid that moves a part of it alone, followed by an affine.

    Attributes
    ----------
    warp : DisplacementField
    elsewhere : (4, 4) float64
        The affine: `fixed_to_moving` beyond that part.
    part : tuple of slice
        Of arrays (z, y, x).
    grid : Grid
        Of the part.
    """

    warp: DisplacementField
    elsewhere: Matrix
    part: tuple[slice, slice, slice]
    grid: Grid

    def within(self, slab: slice, moving_grid: Grid) -> tuple[Transform, Grid, Grid]:
        """Return the transform in some slices of the part, the moving grid, and the grid of the slices."""
        z, y, x = self.part
        here = slice(z.start + slab.start, z.start + slab.stop), y, x
        grid = self.warp.grid.cut(here)
        warp = DisplacementField(self.warp.vectors[(slice(None), *here)], grid)
        return Chain((warp, Affine(self.elsewhere))), moving_grid, grid


def _local(fixed_to_moving: Transform, fixed_grid: Grid) -> _Local | None:
    """Find where a displacement field on the fixed grid, followed by an affine, moves anything; None if not there."""
    chain = Chain((fixed_to_moving,)).simplified().members
    warp, rest = (chain[0], Chain(chain[1:]).matrix) if chain else (None, None)
    if not isinstance(warp, DisplacementField) or warp.grid != fixed_grid or rest is None:
        return None
    moved: NDArray[np.bool_] = np.asarray(warp.vectors.any(0))
    along = [np.flatnonzero(moved.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not len(along[0]):
        return None
    z, y, x = (slice(int(places[0]), int(places[-1]) + 1) for places in along)
    if moved[z, y, x].size > WORTHWHILE * moved.size:
        return None
    return _Local(warp, rest, (z, y, x), fixed_grid.cut((z, y, x)))


def _sampled(
    array: NDArray[Any],
    index: NDArray[np.float64],
    transform: Any,
    interp: Interpolation,
    background: float,
    threads: int | None,
) -> NDArray[Any]:
    """Sample an image (z, y, x) at moving indices (3, z, y, x), which `transform` says to ITK."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(index.shape[:0:-1])
    resampler.SetTransform(transform)
    resampler.SetInterpolator(getattr(sitk, _ITK_NAME[interp]))
    resampler.SetDefaultPixelValue(float(background))
    resampler.SetOutputPixelType(image.GetPixelID() if interp in KEEPING else sitk.sitkFloat32)
    if threads is not None:
        resampler.SetNumberOfThreads(threads)
    found = np.asarray(_Held(resampler.Execute(image)))
    if interp == "label":
        mask = sitk.GetImageFromArray(_has_other_neighbours(array))
        resampler.SetDefaultPixelValue(0.0)
        resampler.SetOutputPixelType(mask.GetPixelID())
        _vote(array, index, found, np.asarray(_Held(resampler.Execute(mask))))
    return found


def _sampled_by_scipy(
    array: NDArray[Any], index: NDArray[np.float64], interp: Interpolation, background: float
) -> NDArray[Any]:
    """Sample an image (z, y, x) at moving indices (3, z, y, x)."""
    found = at_indices(array, index, PLAIN.get(interp, interp), background)
    if interp == "label":
        _vote(array, index, found, at_indices(_has_other_neighbours(array), index, "nearest", 0))
    return found


def _moving_index(
    transform: Transform, moving_grid: Grid, fixed_grid: Grid, slab: slice = slice(None)
) -> NDArray[np.float64]:  # fmt: skip
    """Return the moving voxel index of each fixed voxel of a slab, (3, z, y, x), x first."""
    return Chain((transform, Affine(moving_grid.lps_to_index))).simplified().map_voxels(fixed_grid, slab)


def _itk_displacement(index: NDArray[np.float64]) -> Any:
    """Create an ITK displacement field from the indices of a slab to moving indices; exact at the voxels."""
    import SimpleITK as sitk

    z, y, x = (np.arange(count) for count in index.shape[1:])
    steps = np.empty((*index.shape[1:], 3))
    for axis, own in enumerate((x, y[:, None], z[:, None, None])):
        np.subtract(index[axis], own, out=steps[..., axis])
    return sitk.DisplacementFieldTransform(sitk.GetImageFromArray(steps, isVector=True))


def _vote(
    array: NDArray[Any], index: NDArray[np.float64], moved: NDArray[Any], disputed: NDArray[np.uint8]
) -> None:  # fmt: skip
    """Replace nearest-neighbour labels at borders by the label with the largest linear weight, in place.

    Parameters
    ----------
    array : (z, y, x)
        The moving label map.
    index : (3, z, y, x) float64
        The moving voxel index of each voxel of `moved`.
    moved : (z, y, x)
        `array` sampled there by nearest neighbour; changed in place.
    disputed : (z, y, x) uint8
        Where the neighbourhood has more than one label.
    """
    places = np.flatnonzero(disputed)
    flat, out, at = array.reshape(-1), moved.reshape(-1), index.reshape(3, -1)
    for start in range(0, len(places), CHUNK):
        chunk = places[start : start + CHUNK]
        out[chunk] = _winners(flat, array.shape, at[:, chunk])


def _winners(flat: NDArray[Any], shape: tuple[int, ...], index: NDArray[np.float64]) -> NDArray[Any]:
    """Return the label at each moving index (3, N)."""
    offsets, shares = [], []  # of the lower and the upper neighbour, along x, y, z
    for along, count, stride in zip(index, shape[::-1], (1, shape[2], shape[2] * shape[1]), strict=True):
        low = np.floor(along)
        share = (along - low).astype(np.float32)
        step = low.astype(np.intp)
        # Beyond the edge the outer voxel is repeated.
        offsets.append([np.clip(step + upper, 0, count - 1) * stride for upper in (0, 1)])
        shares.append((1 - share, share))
    labels = np.stack([flat[offsets[0][i] + offsets[1][j] + offsets[2][k]] for i, j, k in _CORNERS])
    weights = np.stack([shares[0][i] * shares[1][j] * shares[2][k] for i, j, k in _CORNERS])
    return _heaviest(labels, weights)
