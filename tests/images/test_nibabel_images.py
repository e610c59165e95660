"""Headers that nibabel is stricter with than other tools, and numbers stored by a slope."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.nibabel_images import scaled
from stnreg.images.volume import load_volume


def _with_quaternion(path: Path, b: float, c: float, d: float, packed: bool = False) -> Path:
    image = nibabel.Nifti1Image(np.arange(720, dtype=np.int16).reshape(8, 9, 10), np.eye(4))
    image.header.set_qform(np.diag([1.0, 1, 1, 1]), 1)
    image.header["sform_code"] = 0
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    content[256:268] = np.array([b, c, d], "<f4").tobytes()
    content[254:256] = np.array([0], "<i2").tobytes()
    if packed:
        path = path.with_suffix(".nii.gz")
        path.write_bytes(gzip.compress(bytes(content)))
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("excess", [6e-7, 2e-4, -4e-8])
def test_a_half_turn_in_single_precision_is_read_as_itk_reads_it(tmp_path: Path, excess: float, packed: bool) -> None:
    half = np.sqrt(0.5 * (1 + excess))
    path = _with_quaternion(tmp_path / "turned.nii", 0.0, half, half, packed)
    grid = load_volume(path).grid
    image = sitk.ReadImage(str(path))
    itk = Grid.from_parts(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert np.allclose(grid.index_to_lps, itk.index_to_lps, atol=1e-6)
    assert np.allclose(np.abs(np.linalg.det(grid.index_to_lps[:3, :3])), 1)


def test_a_quaternion_that_is_no_rotation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"turned\.nii"):
        load_volume(_with_quaternion(tmp_path / "turned.nii", 1.0, 1.0, 0.0))


@pytest.mark.parametrize(("slope", "inter"), [(7014.9999 / 32767, 0.0), (207 / 65535, 103.5), (0.99997, 0.0)])
def test_labels_stored_by_a_slope_are_whole_numbers(slope: float, inter: float) -> None:
    labels = np.array([0, 1, 4, 47, 100, 207], float)
    stored = np.rint((labels - inter) / slope).clip(-32768, 32767)
    if slope > 0.02:
        stored = np.array([0, 32767]) if slope < 0.9 else np.arange(4.0)
        labels = np.rint(stored * slope)
    found = scaled(stored.astype(np.int16), np.float64(slope), np.float64(inter))
    assert found.tolist() == labels.tolist()


def test_intensities_stored_by_a_slope_are_no_labels() -> None:
    stored = np.arange(-5000, 5000, dtype=np.int16)
    for slope in (0.37, 0.004, 1e-6):
        found = scaled(stored, np.float64(slope), np.float64(0.1))
        assert np.allclose(found, stored * slope + 0.1, rtol=1e-6)


def test_a_fifth_axis_of_volumes_is_the_fourth(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 900, (8, 9, 10, 1, 3)).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.eye(4))
    nibabel.save(image, tmp_path / "bucket.nii")
    volume = load_volume(tmp_path / "bucket.nii", series=True)
    assert np.array_equal(volume.array, array[:, :, :, 0].T)
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "field.nii")
    with pytest.raises(DataError, match="displacement field"):
        load_volume(tmp_path / "field.nii", series=True)


def _analyze(path: Path, unit: bytes, spacing: float) -> Any:
    image = nibabel.AnalyzeImage(np.arange(720, dtype=np.int16).reshape(8, 9, 10), None)
    image.header.set_zooms((spacing,) * 3)
    image.header["vox_units"] = unit
    nibabel.save(image, path)
    return load_volume(path)


def test_the_unit_of_an_analyze_header_counts_where_it_can_be_true(tmp_path: Path) -> None:
    micron = _analyze(tmp_path / "a.img", b"um", 2000.0)
    assert np.allclose(micron.grid.spacing, 2)
    assert "times 0.001" in micron.warnings[0]
    wrong = _analyze(tmp_path / "b.img", b"um", 2.0)
    assert np.allclose(wrong.grid.spacing, 2)
    assert "no scan is" in wrong.warnings[0]
