import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError
from stnreg.images.inputs import as_volume
from stnreg.images.volume import load_volume


@pytest.fixture
def path(tmp_path):
    array = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
    turn = np.array([[0, -1.6, 1.2, 5], [1.0, 0, 0, -9], [0, 1.2, 1.6, 2], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(array, turn)
    image.set_qform(turn, 1)
    nib.save(image, tmp_path / "image.nii.gz")
    return tmp_path / "image.nii.gz"


@pytest.mark.parametrize("form", [str, nib.load, sitk.ReadImage, load_volume])
def test_the_same_image_in_any_form_is_the_same_volume(path, form):
    expected, volume = load_volume(path), as_volume(form(str(path)))
    np.testing.assert_array_equal(volume.array, expected.array)
    assert volume.grid.is_close(expected.grid, 1e-3)


def test_nan_and_fourth_axes_are_treated_as_in_a_file():
    array = np.ones((4, 5, 6, 1), np.float32)
    array[0] = np.nan
    volume = as_volume(nib.Nifti1Image(array, np.eye(4)))
    assert volume.array.shape == (6, 5, 4)
    assert np.isfinite(volume.array).all()
    assert "NaN" in volume.warnings[0]


@pytest.mark.parametrize("image", [np.zeros((3, 3, 3)), None, 7, sitk.Image(4, 4, sitk.sitkUInt8)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(DataError, match="expected"):
        as_volume(image)
