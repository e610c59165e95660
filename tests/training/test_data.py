import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("torch")

from stnreg.errors import DataError
from stnreg.training.data import load_scans, pack_scans, save_scans, scans_of_folders, scans_of_table


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


def test_something_else_is_named(tmp_path):
    path = tmp_path / "scans.npz"
    path.write_text("no")
    with pytest.raises(DataError, match=r"scans\.npz"):
        load_scans(path)


def test_the_last_scans_by_name_are_for_validation(tmp_path):
    for name in ("b", "a", "c"):
        write_scan(tmp_path / f"{name}.nii.gz")
    write_scan(tmp_path / "a_labels.nii.gz")
    paths, splits = scans_of_folders([tmp_path], 1)
    assert [path.name for path in paths] == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    assert splits == ["train", "train", "validation"]
    with pytest.raises(DataError, match="none is left"):
        scans_of_folders([tmp_path], 3)
    with pytest.raises(DataError, match="no scans here"):
        scans_of_folders([tmp_path / "none"], 1)


def test_a_table_gives_each_scan_once_and_its_training_pairs(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text(
        "fixed,moving,split\na.nii,b.nii,train\nb.nii,a.nii,train\nc.nii,d.nii,validation\ne.nii,f.nii,test\n"
    )
    paths, splits, pairs = scans_of_table(table)
    assert [path.name for path in paths] == ["a.nii", "b.nii", "c.nii", "d.nii"]
    assert splits == ["train", "train", "validation", "validation"]
    assert pairs == [(0, 1), (1, 0)]


def test_nobody_is_in_two_splits(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("fixed,moving,split\na.nii,b.nii,train\nb.nii,c.nii,validation\n")
    with pytest.raises(DataError, match="split by person"):
        scans_of_table(table)


def test_packing_prepares_as_inference_does(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_scan(path)
    packed = pack_scans([path, path], ["train", "validation"], size=16, spacing_mm=8.0)
    assert packed.images.shape == (2, 16, 16, 16)
    assert packed.images.max() == 255
    assert packed.extent_mm == 128.0
    assert packed.training.tolist() == [0]
