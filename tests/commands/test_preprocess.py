import nibabel as nib
import numpy as np
import pytest

from stnreg import cli
from stnreg.geometry.affine import apply_affine
from stnreg.images.volume import load_volume
from stnreg.transforms.io.files import load_transform


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["preprocess", *map(str, arguments)])
    return end.value.code


@pytest.fixture
def head(tmp_path):
    """A bright block off the middle of an oblique, anisotropic image with negative values."""
    array = np.full((30, 24, 20), -5, np.int16)
    array[8:20, 6:18, 5:15] = 300
    affine = np.array([[0, -1.2, 0, 40], [1.0, 0, 0.3, -60], [0, 0, 2, 5], [0, 0, 0, 1.0]])
    path = tmp_path / "head.nii.gz"
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def test_a_cube_lies_where_its_image_lies_and_is_in_0_to_1(head, tmp_path):
    out = tmp_path / "out"
    assert run(head, "-o", out, "--size", 32, "--spacing", 2) == 0
    image, cube = load_volume(head), load_volume(out / "head.nii.gz")
    assert cube.grid.size == (32, 32, 32)
    np.testing.assert_allclose(cube.grid.spacing, 2)
    np.testing.assert_allclose(cube.grid.center_lps, image.grid.center_lps, atol=1e-4)
    assert (cube.array.min(), cube.array.max()) == (0, 1)

    def middle(volume):
        bright = np.argwhere(volume.array > 0.5 * volume.array.max())[:, ::-1]
        return apply_affine(volume.grid.index_to_lps, bright).mean(axis=0)

    np.testing.assert_allclose(middle(cube), middle(image), atol=1.0)


def test_fov_keeps_the_field_of_view(head, tmp_path):
    assert run(head, "-o", tmp_path / "out", "--size", 16, "--spacing", "fov") == 0
    image, cube = load_volume(head), load_volume(tmp_path / "out" / "head.nii.gz")
    np.testing.assert_allclose(cube.grid.extent_mm, np.ptp(image.grid.corners_lps(), axis=0), rtol=1e-5)


def test_with_a_reference_the_cube_lies_on_it_and_the_shift_is_written(head, tmp_path):
    fixed = tmp_path / "fixed.nii.gz"
    array = np.arange(20 * 20 * 20, dtype=np.float32).reshape(20, 20, 20)
    nib.save(nib.Nifti1Image(array, np.diag([2, 2, 2, 1.0])), fixed)
    assert run(head, "-o", tmp_path / "out", "--size", 16, "--spacing", 4, "--reference", fixed) == 0
    cube, shift = load_volume(tmp_path / "out" / "head.nii.gz"), load_transform(tmp_path / "out" / "head.tfm")
    np.testing.assert_allclose(cube.grid.center_lps, load_volume(fixed).grid.center_lps, atol=1e-4)
    np.testing.assert_allclose(shift[:3, 3], load_volume(head).grid.center_lps - cube.grid.center_lps, atol=1e-4)


def test_what_cannot_be_is_refused(head, tmp_path):
    assert run(head, head, "-o", tmp_path / "out") == 2
    assert run(head, "-o", tmp_path / "out", "--spacing", "wide") == 2
    assert run(head, "-o", head.parent) == 2, "it would overwrite its own input"
    assert run(tmp_path / "absent.nii", "-o", tmp_path / "out") == 4
    assert run(head, "-o", head) == 4, "the folder is a file"
