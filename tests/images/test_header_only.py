"""Rigid transforms applied to the header: unchanged voxels, both forms from the transform."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.header_only import save_in_place
from stnreg.images.volume import load_volume

MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -80, 12)), (5, -10, 20))
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 2.5, -20], [0, 0, 0, 1]])
VOXELS = np.arange(5 * 6 * 7 * 2).reshape(5, 6, 7, 2)  # (x, y, z, t)


def expected_lps(affine: np.ndarray = AFFINE) -> np.ndarray:
    """Return where the voxel (1, 2, 3) must lie: the fixed point whose moving point it is."""
    return apply_affine(invert(MOVE), apply_affine(lps_from_ras(affine), (1, 2, 3)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_voxels_scaling_order_and_extensions_are_kept(tmp_path: Path, suffix: str, order: str, kind: Any) -> None:
    header = kind.header_class(endianness=order)
    header.set_data_dtype(f"{order}i2")
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"from the scanner"))
    image = kind(VOXELS.astype(f"{order}i2"), AFFINE, header)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "moving.nii")
    out = tmp_path / f"out{suffix}"
    save_in_place(out, tmp_path / "moving.nii", MOVE)
    before, after = nibabel.load(tmp_path / "moving.nii"), nibabel.load(out)
    assert type(after) is kind
    assert after.header.endianness == order
    assert np.array_equal(after.dataobj.get_unscaled(), before.dataobj.get_unscaled())
    assert np.array_equal(after.get_fdata(), before.get_fdata())
    assert after.header.extensions[0].get_content() == b"from the scanner"
    assert int(after.header["qform_code"]) == int(after.header["sform_code"]) == 2
    for form in (after.get_qform(), after.get_sform()):
        assert np.abs(apply_affine(lps_from_ras(form), (1, 2, 3)) - expected_lps()).max() < 1e-3
    assert load_volume(out, series=True).warnings == ()


def test_itk_sees_it_in_place(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS[..., 0].astype(np.int16), AFFINE), tmp_path / "moving.nii.gz")
    save_in_place(tmp_path / "out.nii", tmp_path / "moving.nii.gz", MOVE)
    point = sitk.ReadImage(str(tmp_path / "out.nii")).TransformIndexToPhysicalPoint((1, 2, 3))
    assert np.abs(np.array(point) - expected_lps()).max() < 1e-3


@pytest.mark.parametrize("suffix", [".mgz", ".nrrd", ".img"])
def test_other_formats_become_nifti(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving{suffix}"
    voxels = VOXELS[..., 0].astype(np.int16)
    if suffix == ".nrrd":
        nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "a.nii")
        sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii")), str(path))
    else:
        nibabel.save((nibabel.MGHImage if suffix == ".mgz" else nibabel.Nifti1Pair)(voxels, AFFINE), path)
    save_in_place(tmp_path / "out.nii.gz", path, MOVE)
    after = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(after.dataobj), voxels)
    assert np.abs(apply_affine(lps_from_ras(after.get_qform()), (1, 2, 3)) - expected_lps()).max() < 1e-3


def test_what_a_header_cannot_say_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS[..., 0].astype(np.int16), AFFINE), tmp_path / "moving.nii")
    with pytest.raises(UsageProblem, match="rigid"):
        save_in_place(tmp_path / "out.nii", tmp_path / "moving.nii", np.diag([1.1, 1, 1, 1]))
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.8
    image = nibabel.Nifti1Image(VOXELS[..., 0].astype(np.int16), None)
    image.set_sform(sheared, 1)
    nibabel.save(image, tmp_path / "sheared.nii")
    with pytest.raises(DataError, match="right angles"):
        save_in_place(tmp_path / "out.nii", tmp_path / "sheared.nii", MOVE)
    assert not (tmp_path / "out.nii").exists()
