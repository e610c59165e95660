"""The header rule, case by case, on real files; and what ITK and nibabel read of what we write."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.volume import load_reference, load_volume, save_volume

SFORM = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 2, -20], [0, 0, 0, 1]])
QFORM = SFORM + np.array([[0, 0, 0, 7.0], [0, 0, 0, -3], [0, 0, 0, 5], [0, 0, 0, 0]])


def write(path: Path, *, q: tuple[Any, int], s: tuple[Any, int], shape: tuple[int, ...] = (8, 9, 10)) -> Path:
    image = nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), None)
    image.header["pixdim"][1:4] = 2.0
    image.header.set_qform(q[0], q[1])
    image.header.set_sform(s[0], s[1])
    image.header["qform_code"], image.header["sform_code"] = q[1], s[1]
    nibabel.save(image, path)
    return path


def itk_index_to_lps(path: Path) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    grid = Grid.from_parts(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return grid.index_to_lps


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (1, 4), (2, 1), (3, 2)])
def test_the_sform_counts_where_they_differ(tmp_path: Path, codes: tuple[int, int]) -> None:
    path = write(tmp_path / "a.nii", q=(QFORM, codes[0]), s=(SFORM, codes[1]))
    volume = load_volume(path)
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(SFORM))
    (warning,) = volume.warnings
    assert "9.1 mm apart" in warning
    assert "ITK" in warning
    assert ".tfm" in warning
    assert str(path) in warning


def test_the_qform_counts_where_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", q=(QFORM, 1), s=(SFORM, 2))
    volume = load_volume(path, "qform")
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(QFORM))
    assert np.allclose(volume.grid.index_to_lps, itk_index_to_lps(path))
    assert "the qform is used" in volume.warnings[0]
    assert np.allclose(load_volume(path, "sform").grid.index_to_lps, lps_from_ras(SFORM))


@pytest.mark.parametrize(("q", "s", "used"), [((QFORM, 1), (SFORM, 0), QFORM), ((QFORM, 0), (SFORM, 2), SFORM)])
def test_a_form_without_a_code_does_not_count(tmp_path: Path, q: Any, s: Any, used: np.ndarray) -> None:
    path = write(tmp_path / "a.nii", q=q, s=s)
    volume = load_volume(path)
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(used))
    assert volume.warnings == ()
    missing = "qform" if q[1] == 0 else "sform"
    fallen_back = load_volume(path, missing)  # type: ignore[arg-type]
    assert fallen_back.grid == volume.grid
    assert f"has no {missing}" in fallen_back.warnings[0]


def test_a_twentieth_of_a_millimetre_is_no_disagreement(tmp_path: Path) -> None:
    near = SFORM.copy()
    near[0, 3] += 0.05
    volume = load_volume(write(tmp_path / "a.nii", q=(near, 1), s=(SFORM, 1)))
    assert volume.warnings == ()
    assert not volume.differs


def test_without_codes_the_image_is_las_about_zero(tmp_path: Path) -> None:
    volume = load_volume(write(tmp_path / "a.nii", q=(SFORM, 0), s=(SFORM, 0)))
    assert np.allclose(volume.grid.center_lps, 0)
    assert np.allclose(volume.grid.direction, np.diag([1.0, -1, 1]))
    assert "both codes 0" in volume.warnings[0]
    assert "ITK" in volume.warnings[0]


@pytest.mark.parametrize(
    ("q", "s"),
    [((QFORM, 1), (SFORM, 2)), ((QFORM, 1), (SFORM, 4)), ((SFORM, 0), (SFORM, 0)), ((QFORM, 2), (SFORM, 1))],
)
@pytest.mark.parametrize("source", ["auto", "qform"])
def test_an_output_is_in_one_place_for_everybody(tmp_path: Path, q: Any, s: Any, source: Any) -> None:
    volume = load_volume(write(tmp_path / "a.nii", q=q, s=s), source)
    out = tmp_path / "out.nii"
    save_volume(out, volume.array, like=volume)
    assert np.allclose(itk_index_to_lps(out), volume.grid.index_to_lps, atol=1e-4)
    assert np.allclose(lps_from_ras(nibabel.load(out).affine), volume.grid.index_to_lps, atol=1e-4)
    again = load_volume(out)
    assert again.warnings == ()
    assert again.grid.is_close(volume.grid, 1e-3)


def test_an_output_keeps_forms_codes_and_units(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", q=(SFORM, 3), s=(SFORM, 4))
    out = tmp_path / "out.nii"
    for like in (load_volume(path), load_reference(path)):
        save_volume(out, load_volume(path).array, like=like)
        before, after = nibabel.load(path).header, nibabel.load(out).header
        for field in ("qform_code", "sform_code", "qoffset_x", "quatern_b", "srow_x", "srow_y", "pixdim"):
            assert np.array_equal(before[field][..., :4] if field == "pixdim" else before[field],
                                  after[field][..., :4] if field == "pixdim" else after[field]), field  # fmt: skip
            assert int(before["xyzt_units"]) == 0  # unknown, which is read as mm
            assert after.get_xyzt_units() == ("mm", "unknown")


def test_shear_is_taken_and_itk_warned_of(tmp_path: Path, sheared_grid: Grid) -> None:
    sform = lps_from_ras(sheared_grid.index_to_lps)
    path = write(tmp_path / "a.nii", q=(SFORM, 0), s=(sform, 2), shape=sheared_grid.size)
    volume = load_volume(path)
    assert volume.grid.is_close(sheared_grid)
    assert "right angles" in volume.warnings[0]
    save_volume(tmp_path / "out.nii", volume.array, like=volume)
    assert load_volume(tmp_path / "out.nii").grid.is_close(sheared_grid)


def test_a_broken_form_is_named(tmp_path: Path) -> None:
    flat = SFORM.copy()
    flat[2, 2] = 0
    path = write(tmp_path / "a.nii", q=(SFORM, 0), s=(flat, 1))
    with pytest.raises(DataError, match=r"a\.nii.*sform"):
        load_volume(path)
    path = write(tmp_path / "b.nii", q=(QFORM, 1), s=(flat, 1))
    volume = load_volume(path)
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(QFORM))
    assert "not a usable matrix" in volume.warnings[0]


def test_metres_become_millimetres(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", q=(SFORM, 0), s=(np.diag([0.001, 0.001, 0.001, 1.0]) @ SFORM, 1))
    image = nibabel.load(path)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "m.nii")
    volume = load_volume(tmp_path / "m.nii")
    assert np.allclose(apply_affine(volume.grid.index_to_lps, (0, 0, 0)), (-30, 40, -20), atol=1e-4)
    assert "millimetres" in volume.warnings[0]
    save_volume(tmp_path / "out.nii", volume.array, like=volume)
    assert np.allclose(nibabel.load(tmp_path / "out.nii").affine, SFORM, atol=1e-4)


def test_the_source_is_one_of_three(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="sform"):
        load_volume(write(tmp_path / "a.nii", q=(SFORM, 1), s=(SFORM, 1)), "both")  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "spacing", "mm"), [(1, 2.0, 2.0), (1, 0.002, 2.0), (3, 2000.0, 2.0), (3, 0.5, 0.5)])
def test_a_unit_by_which_no_scan_is_so_large_or_small_is_wrong(
    tmp_path: Path, unit: int, spacing: float, mm: float
) -> None:
    path = write(tmp_path / "a.nii", q=(SFORM, 0), s=(np.diag([-spacing, spacing, spacing, 1]), 1))
    image = nibabel.load(path)
    image.header["pixdim"][1:4] = spacing
    image.header["xyzt_units"] = unit
    nibabel.save(image, tmp_path / "b.nii")
    volume = load_volume(tmp_path / "b.nii")
    assert np.allclose(volume.grid.spacing, mm)
    assert ("no scan is" if mm == spacing else "times") in volume.warnings[0]
