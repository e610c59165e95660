"""Resampling through non-linear transforms: ITK and the linear path as oracles."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.resampling import warp
from stnreg.resampling.resample import INTERPOLATIONS, resample
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField

MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -8, 12), (1.05, 0.95, 1.0)), (5, -10, 20))
SMALL = Grid.cube((5, -10, 20), (24, 22, 20), (7.0, 7.5, 8.0))


def waves(grid: Grid, length_mm: float = 6.0) -> DisplacementField:
    points = Affine(np.eye(4)).map_voxels(grid) / 35
    x, y, z = points
    return DisplacementField(length_mm * np.stack([np.sin(y), np.cos(x + z), np.sin(x - y)]), grid)


@pytest.mark.parametrize("interp", INTERPOLATIONS)
def test_a_linear_chain_goes_the_way_of_matrices(phantom: Any, interp: Any) -> None:
    moving = phantom.volume(SMALL, labels=interp in ("nearest", "label"))
    chain = Chain((Affine(MOVE), Affine(MOVE)))
    ours = resample_through(moving.array, SMALL, SMALL, chain, interp)
    assert ours.tobytes() == resample(moving.array, SMALL, SMALL, MOVE @ MOVE, interp).tobytes()


@pytest.mark.parametrize("interp", INTERPOLATIONS)
def test_through_a_field_of_zeros_every_interpolation_is_that_of_matrices(phantom: Any, interp: Any) -> None:
    moving = phantom.volume(SMALL, labels=interp in ("nearest", "label"))
    fixed = Grid.cube((5, -10, 20), (20, 22, 24), 7.0, np.diag([-1.0, -1, 1]))
    ours = resample_through(
        moving.array, SMALL, fixed, DisplacementField.zero(fixed).then(Affine(MOVE)), interp, -7.0, 1
    )
    theirs = resample(moving.array, SMALL, fixed, MOVE, interp, -7.0, 1)
    assert ours.dtype == theirs.dtype
    assert np.abs(ours.astype(float) - theirs).max() < 1e-5 * theirs.max()


def test_it_is_itk_on_every_pair_of_grids(phantom: Any, grids_by_name: Any, grid: Grid) -> None:
    field = waves(grid)
    for moving_grid in grids_by_name.values():
        moving = phantom.volume(moving_grid)
        ours = resample_through(moving.array, moving_grid, grid, field.then(Affine(MOVE)), threads=1)
        images = []
        for array, where in ((moving.array, moving_grid), (np.moveaxis(field.vectors, 0, -1).astype(float), grid)):
            image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
            image.SetSpacing(where.spacing.tolist())
            image.SetOrigin(where.origin.tolist())
            image.SetDirection(where.direction.ravel().tolist())
            images.append(image)
        reference = sitk.Image(images[1])
        affine = sitk.AffineTransform(MOVE[:3, :3].ravel().tolist(), MOVE[:3, 3].tolist())
        chain = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(images[1])])
        theirs = sitk.GetArrayFromImage(sitk.Resample(images[0], reference, chain, sitk.sitkLinear))
        index = apply_affine(
            moving_grid.lps_to_index, np.moveaxis(field.then(Affine(MOVE)).map_voxels(grid), 0, -1)
        )  # fmt: skip
        inner = ((index > 0.01) & (index < np.array(moving_grid.size) - 1.01)).all(-1)
        assert np.abs(theirs - ours)[inner].max() < 1e-4 * theirs.max()


def test_a_warped_head_comes_back(phantom: Any) -> None:
    """The head in closed form, looked up where the field says."""
    grid = Grid.cube((5, -10, 20), (50, 60, 50), 3.0)
    field = waves(grid)
    moved = resample_through(phantom.volume(grid).array, grid, grid, field, "bspline")
    truth = phantom.intensity(np.moveaxis(field.map_voxels(grid), 0, -1))
    assert np.abs(moved - truth)[4:-4, 4:-4, 4:-4].max() < 0.02 * truth.max()


@pytest.mark.parametrize("interp", INTERPOLATIONS)
@pytest.mark.parametrize("after", [(), (Affine(MOVE), Affine(MOVE))], ids=["alone", "with affines"])
def test_what_a_warp_leaves_is_moved_by_the_affine_alone(
    phantom: Any, interp: Any, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = phantom.volume(SMALL, labels=interp in ("nearest", "label"))
    series = np.stack([moving.array, moving.array[::-1]])
    fixed = Grid.cube((5, -10, 20), (28, 22, 24), 7.0, np.diag([-1.0, -1, 1]))
    vectors = np.zeros((3, *fixed.shape), np.float32)
    vectors[:, 4:15, 6:20, 3:19] = waves(fixed).vectors[:, 4:15, 6:20, 3:19]
    chain = Chain((DisplacementField(vectors, fixed), *after))
    ours = resample_through(series, SMALL, fixed, chain, interp, -7.0, 1)
    calls: list[Any] = []
    monkeypatch.setattr(warp, "resample", lambda *a: calls.append(a) or resample(*a))
    assert resample_through(series, SMALL, fixed, chain, interp, -7.0, 1).tobytes() == ours.tobytes()
    assert len(calls) == 2  # one for each volume
    monkeypatch.setattr(warp, "WORTHWHILE", 0.0)
    whole = resample_through(series, SMALL, fixed, chain, interp, -7.0, 1)
    assert len(calls) == 2
    assert np.abs(ours.astype(float) - whole).max() < 1e-5 * whole.max()


def test_slabs_are_not_to_be_seen(phantom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moving = phantom.volume(SMALL, labels=True)
    whole = resample_through(moving.array, SMALL, SMALL, waves(SMALL), "label")
    monkeypatch.setattr("stnreg.resampling.warp.SLAB_VOXELS", 1000)
    assert np.array_equal(whole, resample_through(moving.array, SMALL, SMALL, waves(SMALL), "label"))


def test_labels_are_the_heaviest_of_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    grid = Grid((9, 8, 7), np.eye(4))
    labels = rng.integers(0, 3, grid.shape).astype(np.int32)
    field = DisplacementField(rng.uniform(-0.45, 0.45, (3, *grid.shape)), grid)
    ours = resample_through(labels, grid, grid, field, "label")
    shares = [resample_through((labels == k).astype(np.float32), grid, grid, field) for k in range(3)]
    inner = (slice(1, -1),) * 3
    assert ours.dtype == np.int32
    assert np.array_equal(ours[inner], np.argmax(shares, axis=0)[inner])


def test_sheared_grids_and_odd_types_are_taken(phantom: Any, sheared_grid: Grid) -> None:
    mask = phantom.volume(sheared_grid, labels=True).array > 0
    field = waves(sheared_grid)
    assert resample_through(mask, sheared_grid, sheared_grid, field, "label").dtype == np.bool_
    half = mask.astype(np.float16)
    assert resample_through(half, sheared_grid, sheared_grid, field, "nearest").dtype == np.float16


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageProblem, match="out of"):
        resample_through(np.zeros(SMALL.shape), SMALL, SMALL, waves(SMALL), "cubic")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="moving grid"):
        resample_through(np.zeros((2, 2, 2)), SMALL, SMALL, waves(SMALL))
