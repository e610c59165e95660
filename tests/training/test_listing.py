import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import DataError
from stnreg.training.listing import scans_of_folders, scans_of_table


def test_the_last_scans_by_name_are_for_validation(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "a_labels.nii.gz").touch()
    listed = scans_of_folders([tmp_path], 1)
    assert [path.name for path in listed.paths] == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    assert listed.splits == ("train", "train", "validation")
    assert listed.pairs == ()
    with pytest.raises(DataError, match="none is left"):
        scans_of_folders([tmp_path], 3)
    with pytest.raises(DataError, match="no scans here"):
        scans_of_folders([tmp_path / "none"], 1)


def write_table(tmp_path, *rows, header="fixed,moving,split"):
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_table_gives_each_scan_once_and_its_pairs(tmp_path):
    rows = ("a.nii,b.nii,train,x.tfm", "b.nii,a.nii,train,", "c.nii,d.nii,validation,", "e.nii,f.nii,test,")
    listed = scans_of_table(write_table(tmp_path, *rows, header="fixed,moving,split,truth"))
    assert [path.name for path in listed.paths] == ["a.nii", "b.nii", "c.nii", "d.nii"]
    assert listed.splits == ("train", "train", "validation", "validation")
    assert listed.pairs == ((0, 1, tmp_path / "x.tfm"), (1, 0, None), (2, 3, None))


def test_the_last_tenth_is_for_validation(tmp_path):
    rows = [f"{k}.nii,{k}b.nii" for k in range(20)]
    listed = scans_of_table(write_table(tmp_path, *rows, header="fixed,moving"))
    assert listed.splits == ("train",) * 36 + ("validation",) * 4


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a.nii,b.nii,train", "b.nii,c.nii,validation"), "split by person"),
        (("a.nii,b.nii,train",), "no pair with split 'validation'"),
        (("a.nii,b.nii,val", "c.nii,d.nii,train"), "got val"),
    ],
)
def test_an_unusable_table_is_reported(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        scans_of_table(write_table(tmp_path, *rows))
