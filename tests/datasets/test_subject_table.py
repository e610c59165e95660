from pathlib import Path

import pytest

from stnreg.datasets.scans import Scan
from stnreg.datasets.subject_table import load_subjects, session_names, subjects_of
from stnreg.errors import DataError

HEAD = "subject,session,image\n"


def test_visits_keep_the_order_of_the_table(tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text(f"{HEAD}b,2,x.nii\na,1,y.nii\nb,1,/z.nii\n")
    first, second = load_subjects(table)
    assert (first.id, first.sessions, first.images) == ("b", ("2", "1"), (tmp_path / "x.nii", Path("/z.nii")))
    assert second.id == "a"


def test_a_visit_may_have_a_mask_of_what_to_ignore(tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text("subject,session,image,exclude\na,1,x.nii,\na,2,y.nii,lesion.nii\nb,1,z.nii,\n")
    first, second = load_subjects(table)
    assert first.excludes == {"2": tmp_path / "lesion.nii"}
    assert second.excludes == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("subject,image\na,b\n", "no session"),
        (HEAD, "no subject"),
        (f"{HEAD}a,,b.nii\n", "line 2"),
        (f"{HEAD}a,1,b.nii\na,1,c.nii\n", "twice"),
    ],
)
def test_damaged_tables_are_refused_with_the_place(text, told, tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=told):
        load_subjects(table)
    with pytest.raises(DataError, match="cannot read"):
        load_subjects(tmp_path / "nowhere.csv")


def test_scans_of_a_dataset_are_grouped_and_sorted():
    scans = [Scan(Path(f"{s}{v}"), s, v) for s, v in (("sub-2", "ses-2"), ("sub-1", "ses-1"), ("sub-2", "ses-1"))]
    assert [(one.id, one.sessions) for one in subjects_of(scans)] == [
        ("sub-2", ("ses-1", "ses-2")),
        ("sub-1", ("ses-1",)),
    ]


def test_files_of_one_name_are_told_apart_by_their_folders():
    assert session_names([Path("/d/1/t1.nii.gz"), Path("/d/2/t1.nii.gz")]) == ["1_t1", "2_t1"]
    assert session_names([Path("/d/t1.nii"), Path("/d/t1.nii")]) == ["d_t1-1", "d_t1-2"]
