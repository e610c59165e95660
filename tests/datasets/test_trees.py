import pytest

from stnreg.datasets.trees import find_bids, find_folder
from stnreg.errors import DataError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def visits(found):
    return [(scan.subject, scan.visit) for scan in found.scans]


def lines_of(found):
    return [f"{one.subject} {one.visit} {one.reason}" for one in found.missing]


@pytest.fixture
def bids(tmp_path):
    for session in ("01", "02"):
        touch(tmp_path / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz")
    touch(tmp_path / "sub-01/ses-01/anat/sub-01_ses-01_T2w.nii.gz")
    touch(tmp_path / "sub-02/ses-01/anat/sub-02_ses-01_T2w.nii.gz")
    touch(tmp_path / "sub-03/anat/sub-03_T1w.nii")
    touch(tmp_path / "sub-03/anat/sub-03_T1w.json")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t60\nsub-03\t61\nsub-04\t62\n")
    (tmp_path / "sub-01/sub-01_sessions.tsv").write_text("session_id\nses-01\nses-02\nses-03\n")
    return tmp_path


def test_sessions_are_visits_and_what_is_missing_is_listed(bids):
    found = find_bids(bids)
    assert visits(found) == [("sub-01", "ses-01"), ("sub-01", "ses-02"), ("sub-03", "only")]
    lines = lines_of(found)
    assert [line.split()[:2] for line in lines] == [["sub-01", "ses-03"], ["sub-02", "ses-01"], ["sub-04", "in"]]
    assert visits(find_bids(bids, suffix="T2w")) == [("sub-01", "ses-01"), ("sub-02", "ses-01")]


def test_runs_of_one_session_are_not_guessed_between(bids):
    touch(bids / "sub-03/anat/sub-03_run-2_T1w.nii.gz")
    assert ("sub-03", "only") not in visits(find_bids(bids))
    assert any("sub-03_run-2" in line for line in lines_of(find_bids(bids)))
    assert ("sub-03", "only") in visits(find_bids(bids, repeats="first"))


def test_a_folder_that_is_no_dataset_is_reported(tmp_path):
    with pytest.raises(DataError, match="sub-"):
        find_bids(tmp_path)
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "participants.tsv").write_text("name\n")
    with pytest.raises(DataError, match="participant_id"):
        find_bids(tmp_path)


def test_folders_are_people_and_so_are_images_beside_them(tmp_path):
    for name in ("anna/2001.nii.gz", "anna/2003.nii", "anna/2001_labels.nii.gz", "bert.mgz", "bert_mask.nii"):
        touch(tmp_path / name)
    (tmp_path / "carl").mkdir()
    found = find_folder(tmp_path)
    assert visits(found) == [("anna", "2001"), ("anna", "2003"), ("bert", "only")]
    assert lines_of(found) == [f"carl  no image in {tmp_path / 'carl'}"]
    with pytest.raises(DataError, match="no image here"):
        find_folder(tmp_path / "carl")
