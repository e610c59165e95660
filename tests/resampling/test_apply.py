"""One way to write a moved image."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import stnreg
from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, load_volume
from stnreg.resampling.apply import move, save_moved
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.sampling import voxel_points

MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -8, 12)), (5, -10, 20))


def test_an_output_lies_on_the_reference(tmp_path: Path, phantom: Any, grid: Grid, grids_by_name: Any) -> None:
    moving, reference = phantom.volume(grids_by_name["LIA"], MOVE), phantom.volume(grid)
    moved = save_moved(tmp_path / "a.nii.gz", moving, reference, MOVE)
    again = load_volume(tmp_path / "a.nii.gz")
    assert again.grid.is_close(grid, 1e-3)
    assert np.array_equal(again.array, moved)
    assert again.array.dtype == np.float32


def test_labels_keep_their_type(phantom: Any, grid: Grid) -> None:
    moving = phantom.volume(grid, MOVE, labels=True)
    assert move(moving, moving, MOVE, interp="label").dtype == np.int16
    assert move(moving, moving, MOVE, interp="nearest").dtype == np.float32
    assert move(moving, moving, MOVE, interp="nearest", dtype="same").dtype == np.int16


def test_integers_are_rounded_and_clipped(grid: Grid) -> None:
    array = np.zeros(grid.shape, np.uint8)
    array[10:30, 10:30, 10:30] = 255
    moved = move(Volume(array, grid), Volume(array, grid), MOVE, interp="lanczos", dtype="same", background=-5)
    smooth = move(Volume(array, grid), Volume(array, grid), MOVE, interp="lanczos", background=-5)
    assert moved.dtype == np.uint8
    assert smooth.max() > 256
    assert np.array_equal(moved, np.clip(np.rint(smooth), 0, 255))


def test_a_series_stays_a_series(phantom: Any, grid: Grid) -> None:
    one = phantom.volume(grid, MOVE).array
    series = Volume(np.stack([one, 2 * one]), grid)
    moved = move(series, series, MOVE)
    assert moved.shape == (2, *grid.shape)
    assert np.allclose(moved[1], 2 * moved[0])


def test_arrays_files_and_inverses_say_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    moving = nib.Nifti1Image(rng.random((12, 11, 10), dtype=np.float32), np.diag([2.0, 2, 2, 1]))
    shift = from_parameters(Parameters((4.0, 0, 0), (0, 0, 10.0)), np.zeros(3))
    save_transform(tmp_path / "shift.tfm", shift)
    expected = stnreg.apply_transform(moving, moving, shift)
    assert expected.grid.size == (12, 11, 10)
    for chain in (
        tmp_path / "shift.tfm",
        str(tmp_path / "shift.tfm"),
        [shift, np.eye(4)],
        [f"inv:{tmp_path / 'shift.tfm'}", shift, shift],
    ):
        np.testing.assert_allclose(stnreg.apply_transform(moving, moving, chain).array, expected.array, atol=1e-5)
    inverse = stnreg.apply_transform(moving, moving, np.linalg.inv(shift), invert=True)
    np.testing.assert_allclose(inverse.array, expected.array, atol=1e-5)
    assert not np.allclose(stnreg.apply_transform(moving, moving, np.eye(4)).array, expected.array)


def bent(grid: Grid) -> DisplacementField:
    """Displace by waves of up to 6 mm."""
    x, y, z = voxel_points(grid) / 35
    return DisplacementField(np.stack([6 * np.sin(y), 4 * np.cos(x) * np.sin(z), 3 * np.sin(x + y)]), grid)


def test_objects_matrices_and_links_are_taken_alike(tmp_path: Path, phantom: Any, grid: Grid) -> None:
    moving, reference = phantom.volume(grid, MOVE), phantom.volume(grid)
    chain = bent(grid).then(Affine(MOVE))
    save_transform(tmp_path / "both.h5", chain)
    save_transform(tmp_path / "warp.nii.gz", bent(grid), fixed=reference)
    expected = move(moving, reference, chain)
    for links in ([bent(grid), MOVE], [tmp_path / "warp.nii.gz", MOVE], tmp_path / "both.h5"):
        np.testing.assert_allclose(move(moving, reference, links), expected, atol=0.05)
        np.testing.assert_allclose(stnreg.apply_transform(moving, reference, links).array, expected, atol=0.05)
    linear = move(moving, reference, MOVE)
    for same in (Affine(MOVE), MOVE.tolist(), [MOVE], stnreg.Affine(np.eye(4)).then(Affine(MOVE))):
        assert np.array_equal(move(moving, reference, same), linear)
    assert np.array_equal(move(moving, reference, []), move(moving, reference, np.eye(4)))


def test_a_series_and_labels_go_through_a_warp(phantom: Any, grid: Grid) -> None:
    one, labels = phantom.volume(grid), phantom.volume(grid, labels=True)
    field = bent(grid)
    series = move(Volume(np.stack([one.array, 2 * one.array]), grid), one, field)
    assert np.array_equal(series[0], move(one, one, field))
    assert np.allclose(series[1], 2 * series[0])
    moved = move(labels, one, field, interp="label")
    assert moved.dtype == np.int16
    # By hand: of each label's indicator, taken through linearly, the largest.
    names = np.unique(labels.array)
    shares = [
        resample_through((labels.array == name).astype(np.float32), grid, grid, field, "linear", float(name == 0))
        for name in names
    ]
    clear = np.sort(shares, axis=0)[-1] > 0.51  # near half by half the digits of single precision decide
    assert clear.mean() > 0.9
    inside = clear & (resample_through(np.ones(grid.shape, np.float32), grid, grid, field) > 0.999)
    assert np.array_equal(moved[inside], names[np.argmax(shares, axis=0)][inside])


def test_an_output_that_would_be_empty_is_refused(tmp_path: Path, phantom: Any, grid: Grid) -> None:
    volume = phantom.volume(grid)
    away = np.eye(4)
    away[0, 3] = 5000
    with pytest.raises(DataError, match=r"no voxel of .* inside this image"):
        save_moved(tmp_path / "a.nii.gz", volume, volume, away)
    assert not (tmp_path / "a.nii.gz").exists()
    nothing = Volume(np.zeros(grid.shape, np.uint8), grid)  # a lesion mask of someone without a lesion
    assert not save_moved(tmp_path / "a.nii.gz", nothing, volume, MOVE).any()
