from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.datasets.to_one import find_images, names_of, pair_with_fixed
from stnreg.errors import DataError


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sub-01/anat/a_T1w.nii.gz", "sub-02/anat/a_T1w.nii.gz", "sub-02/anat/a_T1w.json", "flat/b.nii"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("c.mgz", "b_mask.nii"):
        (tmp_path / "flat" / name).touch()
    return tmp_path


def test_files_folders_and_patterns(scans):
    assert find_images(["sub-*/anat/a_T1w.*"], Path("out")) == [Path(f"sub-0{k}/anat/a_T1w.nii.gz") for k in (1, 2)]
    assert find_images(["flat", "flat/b.nii"], Path("out")) == [Path("flat/b.nii"), Path("flat/c.mgz")]
    assert find_images(["nowhere.nii"], Path("out")) == [Path("nowhere.nii")]
    with pytest.raises(DataError, match="no image has a name like this"):
        find_images(["*.mha"], Path("out"))
    with pytest.raises(DataError, match=r"'sub-01/\*/\*\.nii\.gz'"):
        find_images(["sub-01"], Path("out"))


def test_outputs_of_an_earlier_run_are_no_inputs(scans):
    (scans / "out" / "b").mkdir(parents=True)
    (scans / "out" / "b" / "moved.nii.gz").touch()
    assert Path("out/b/moved.nii.gz") not in find_images(["**/*.nii*"], Path("out"))


def test_pairs_are_named_by_their_files(scans):
    pairs = pair_with_fixed(find_images(["sub-*/anat/*.nii.gz", "flat"], Path("out")), Path("mni.nii.gz"))
    assert [pair.id for pair in pairs] == ["sub-01_anat_a_T1w", "sub-02_anat_a_T1w", "b", "c"]
    assert {str(pair.fixed) for pair in pairs} == {"mni.nii.gz"}


words = st.text("ab_", min_size=1, max_size=3)


@given(st.lists(st.lists(words, min_size=1, max_size=4).map("/".join), unique=True))
def test_different_files_have_different_names(paths):
    names = names_of([Path(f"{path}{suffix}") for path in paths for suffix in (".nii", ".mgz")])
    assert len({*names}) == len(names)
