"""Images there and back, the formats met in real data, and every refusal with its file and remedy."""

import gzip
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.volume import Volume, load_reference, load_volume, save_volume, with_spacing

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 2.5, -20], [0, 0, 0, 1]])


def ramp(dtype: Any = np.int16, shape: tuple[int, ...] = (5, 6, 7)) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)  # (x, y, z), as nibabel has it


@given(st.from_type(Grid), st.sampled_from(("uint8", "int16", "int32", "float32", "float64", "bool", "int64")))
def test_save_then_load_gives_the_same(tmp_path_factory: Any, grid: Grid, dtype: str) -> None:
    path = tmp_path_factory.getbasetemp() / "again.nii.gz"
    array = (np.arange(np.prod(grid.shape)) % 120).reshape(grid.shape).astype(dtype)
    save_volume(path, array, like=Volume(array, grid), dtype="same")
    again = load_volume(path, constant=True)
    assert np.array_equal(again.array, array)
    assert again.array.dtype.itemsize <= max(array.dtype.itemsize, 1)
    assert again.grid.is_close(grid, 1e-3)
    assert load_reference(path).grid == again.grid


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgz", ".nrrd", ".mha"])
def test_every_format_has_the_same_voxels_in_the_same_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix in (".nrrd", ".mha"):
        nibabel.save(nibabel.Nifti1Image(ramp(), AFFINE), tmp_path / "a.nii")
        sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii")), str(path))
    else:
        kind = nibabel.MGHImage if suffix == ".mgz" else nibabel.Nifti1Image
        nibabel.save(kind(ramp(), AFFINE), path)
    volume = load_volume(path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, ramp().T)
    assert volume.array.flags.c_contiguous
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(AFFINE), atol=1e-4)
    save_volume(tmp_path / "out.nii.gz", volume.array, like=volume)
    assert load_volume(tmp_path / "out.nii.gz").grid.is_close(volume.grid)


@given(st.from_type(Grid), st.sampled_from(("uint8", "int16", "int32", "float32")), st.sampled_from((1, 3)))
@pytest.mark.parametrize("suffix", [".mgz", ".nrrd", ".mha"])
def test_other_formats_are_written_as_they_are_read(
    tmp_path_factory: Any, suffix: str, grid: Grid, dtype: str, times: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"again{suffix}"
    array = (np.arange(times * np.prod(grid.shape)) % 120).reshape(times, *grid.shape).astype(dtype)
    array = array[0] if times == 1 else array
    save_volume(path, array, like=Volume(array, grid), dtype="same", threads=2)
    again = load_volume(path, constant=True, series=True)
    assert not again.warnings
    assert np.array_equal(again.array, array)
    assert again.array.dtype == array.dtype
    assert again.grid.is_close(grid, 1e-3)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("suffix", [".mgz", ".nrrd", ".mha"])
def test_other_tools_read_what_is_written(tmp_path: Path, suffix: str, times: int) -> None:
    path = tmp_path / f"a{suffix}"
    array = ramp(np.float32, (7, 6, 5)) if times == 1 else ramp(np.float32, (times, 7, 6, 5))
    grid = Grid((5, 6, 7), lps_from_ras(AFFINE))
    save_volume(path, array, like=Volume(array, grid))
    if suffix == ".mgz":
        image: Any = nibabel.load(path)
        assert np.array_equal(np.asarray(image.dataobj), array.T)
        assert np.allclose(image.affine, AFFINE, atol=1e-4)
        return
    found = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(found), array)
    assert np.allclose(found.GetSpacing()[:3], grid.spacing)
    assert np.allclose(found.GetOrigin()[:3], grid.origin)
    assert np.allclose(np.reshape(found.GetDirection(), (found.GetDimension(),) * 2)[:3, :3], grid.direction)


def test_a_type_that_freesurfer_has_not_becomes_a_float(tmp_path: Path) -> None:
    array = ramp(np.float64) + 0.25
    save_volume(tmp_path / "a.mgz", array.T, like=Volume(array.T, Grid((5, 6, 7), np.eye(4))), dtype="same")
    assert load_volume(tmp_path / "a.mgz").array.dtype == np.float32


def test_voxels_of_another_size_have_the_same_field_of_view() -> None:
    volume = Volume(ramp().T, Grid((5, 6, 7), lps_from_ras(AFFINE)))
    assert with_spacing(volume, None) is volume
    assert with_spacing(volume, volume.grid.spacing).grid.is_close(volume.grid)
    finer = with_spacing(volume, (1.0, 1.0, 0.5)).grid
    assert finer.size == (10, 12, 35)
    assert np.allclose(finer.corners_lps(), volume.grid.corners_lps())
    coarser = with_spacing(volume, 3.0).grid
    assert coarser.size == (4, 4, 6)
    assert np.allclose(coarser.center_lps, volume.grid.center_lps)


def test_slope_big_endian_and_a_fourth_axis_of_one(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nibabel.Nifti1Image(ramp(shape=(5, 6, 7, 1)), AFFINE, header)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    assert volume.array.dtype == np.float32
    assert volume.array.dtype.isnative
    assert np.allclose(volume.array, ramp().T * 0.5 + 10)
    save_volume(tmp_path / "out.nii", volume.array, like=volume)
    assert np.array_equal(load_volume(tmp_path / "out.nii").array, volume.array)
    header.set_data_dtype(">f8")
    nibabel.save(nibabel.Nifti1Image(ramp(">f8"), AFFINE, header), tmp_path / "b.nii")
    assert load_volume(tmp_path / "b.nii").array.dtype == np.dtype("=f8")


def test_what_is_not_finite_becomes_zero_with_a_warning(tmp_path: Path) -> None:
    array = ramp(np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -np.inf
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    assert "3 voxels" in volume.warnings[0]
    assert volume.array[0, 0, 0] == volume.array[1, 1, 1] == volume.array[2, 2, 2] == 0


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((5, 6, 7, 3), np.int16, "series"),
        ((5, 6), np.int16, "3-D image was expected"),
        ((5, 6, 1), np.int16, "not a volume"),
        ((5, 6, 7), np.complex64, "complex"),
        ((5, 6, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")], "colour"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, shape: Any, dtype: Any, message: str) -> None:
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, dtype), AFFINE), path)
    with pytest.raises(DataError, match=message) as caught:
        load_volume(path)
    assert str(path) in str(caught.value)


def test_a_constant_image_is_refused_unless_allowed(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), AFFINE), tmp_path / "a.nii")
    with pytest.raises(DataError, match="every voxel is 1"):
        load_volume(tmp_path / "a.nii")
    assert load_volume(tmp_path / "a.nii", constant=True).array.max() == 1


def test_a_series_if_allowed(tmp_path: Path) -> None:
    series = ramp(shape=(5, 6, 7, 3))
    nibabel.save(nibabel.Nifti1Image(series, AFFINE), tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii", series=True)
    assert np.array_equal(volume.array, series.T)
    save_volume(tmp_path / "out.nii.gz", volume.array, like=volume, dtype="same")
    assert np.array_equal(nibabel.load(tmp_path / "out.nii.gz").dataobj, series)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgz"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.98])
def test_a_file_cut_short_is_a_data_error(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 1000, (20, 20, 20)).astype(np.int16)
    kind = nibabel.MGHImage if suffix == ".mgz" else nibabel.Nifti1Image
    nibabel.save(kind(noise, AFFINE), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=path.name):
        load_volume(path)


@given(st.binary(min_size=1, max_size=600), st.sampled_from((".nii", ".nii.gz", ".mgz", ".nrrd")))
def test_bytes_that_are_no_image_are_a_data_error(tmp_path_factory: Any, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(DataError, match="noise"):
        load_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_header_that_promises_too_much_is_refused(tmp_path: Path, suffix: str) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 3000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(2000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(DataError, match="promises"):
        load_volume(path)


def test_files_that_are_not_there_or_not_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_volume(tmp_path / "none.nii")
    with pytest.raises(DataError, match="folder"):
        load_volume(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="not an image format"):
        load_volume(tmp_path / "a.jpg")


def test_outputs_repeat_and_leave_nothing_beside(tmp_path: Path) -> None:
    volume = Volume(ramp().T, Grid((5, 6, 7), np.eye(4)))
    for name in ("a.nii.gz", "b.nii.gz"):
        save_volume(tmp_path / name, volume.array, like=volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.nii.gz", "b.nii.gz"]


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    volume = Volume(ramp().T, Grid((5, 6, 7), np.eye(4)))
    with pytest.raises(UsageProblem, match="nii"):
        save_volume(tmp_path / "a.png", volume.array, like=volume)
    with pytest.raises(DataError, match="no folder"):
        save_volume(tmp_path / "none" / "a.nii", volume.array, like=volume)
    with pytest.raises(DataError, match="on the grid"):
        save_volume(tmp_path / "a.nii", volume.array[1:], like=volume)
