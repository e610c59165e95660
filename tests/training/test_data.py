import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.training.data import ScanList, load_scans, pack_scans, save_scans
from stnreg.transforms.io.files import save_transform


def write_scan(path, seed=0):
    rng = np.random.default_rng(seed)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    nib.save(nib.Nifti1Image(rng.random((20, 18, 16), np.float32), affine), path)


def test_packed_scans_come_back(tmp_path, scans):
    save_scans(tmp_path / "scans.npz", scans)
    again = load_scans(tmp_path / "scans.npz")
    assert np.array_equal(again.images, scans.images)
    assert np.array_equal(again.validation, scans.validation)
    assert (again.names, again.extent_mm, again.sources) == (scans.names, scans.extent_mm, scans.sources)
    assert [path.name for path in tmp_path.iterdir()] == ["scans.npz"]


def test_images_stay_on_disk(tmp_path, scans):
    save_scans(tmp_path / "scans.npz", scans)
    images = load_scans(tmp_path / "scans.npz").images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


@pytest.mark.parametrize("content", [b"no", b"PK\x03\x04 no"])
def test_something_else_is_named(tmp_path, content):
    path = tmp_path / "scans.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scans\.npz"):
        load_scans(path)


def test_packing_prepares_as_inference_does(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_scan(path)
    packed = pack_scans(ScanList((path, path), ("train", "validation")), size=16, spacing_mm=8.0)
    assert packed.images.shape == (2, 16, 16, 16)
    assert packed.images.max() == 255
    assert packed.extent_mm == 128.0
    assert packed.training.tolist() == [0]


@pytest.fixture
def table(tmp_path):
    """Four scans, the last two of them broken; three training pairs, two for validation, some with a known map."""
    for number in range(4):
        write_scan(tmp_path / f"{number}.nii.gz", number)
    (tmp_path / "4.nii.gz").write_bytes(b"no scan")
    shift = from_parameters(Parameters(translation_mm=(32.0, 0.0, 0.0)), (0, 0, 0))
    save_transform(tmp_path / "known.tfm", shift)
    paths = tuple(tmp_path / f"{number}.nii.gz" for number in range(5))
    splits = ("train", "train", "validation", "validation", "train")
    known = tmp_path / "known.tfm"
    return ScanList(paths, splits, ((0, 1, known), (1, 0, None), (2, 3, known), (0, 4, None)))


def test_a_bad_scan_is_named(table):
    with pytest.raises(DataError, match=r"4\.nii\.gz.*left out"):
        pack_scans(table, size=16, spacing_mm=8.0)


def test_a_bad_scan_is_left_out_with_its_pairs_if_asked(table):
    packed = pack_scans(table, size=16, spacing_mm=8.0, skip_bad=True)
    assert packed.names == tuple(f"{number}.nii.gz" for number in range(4))
    assert packed.pairs.tolist() == [[0, 1], [1, 0]]
    assert packed.validation_pairs.tolist() == [[2, 3]]
    assert len(packed.skipped) == 1
    assert "4.nii.gz" in packed.skipped[0]


def test_a_known_map_is_kept_as_theta(table, tmp_path):
    packed = pack_scans(table, size=16, spacing_mm=8.0, skip_bad=True)
    save_scans(tmp_path / "scans.npz", packed)
    again = load_scans(tmp_path / "scans.npz")
    expected = np.eye(3, 4)
    expected[0, 3] = 0.5  # 32 of 64 mm
    assert np.allclose(again.truths[0], expected)
    assert np.isnan(again.truths[1]).all()
    assert np.allclose(again.validation_truths[0], expected)
    assert again.skipped == packed.skipped


def test_nothing_left_is_reported(table):
    only_bad = ScanList(table.paths, table.splits, ((0, 4, None), (2, 3, None)))
    with pytest.raises(DataError, match="none is left"):
        pack_scans(only_bad, size=16, spacing_mm=8.0, skip_bad=True)
