import pytest

from stnreg.datasets.adni import find_adni
from stnreg.errors import DataError

RAW, SCALED = "MPRAGE", "MPR__GradWarp__B1_Correction__N3__Scaled"
TABLE = """RID,PTID,VISCODE,SITE,EXAMDATE,DX
295,002_S_0295,bl,2,2006-04-10,NL
295,002_S_0295,m12,2,2007-05-20,NL
413,002_S_0413,bl,2,2006-05-01,NL
619,002_S_0619,bl,2,2006-06-01,NL
"""


def add(root, person, sequence, day, image, name="scan.nii"):
    folder = root / "ADNI" / person / sequence / f"{day}_08_20_30.0" / image
    folder.mkdir(parents=True)
    (folder / name).touch()


@pytest.fixture
def tree(tmp_path):
    add(tmp_path, "002_S_0295", SCALED, "2006-04-18", "S13408")
    add(tmp_path, "002_S_0295", SCALED, "2007-05-25", "S32678")
    add(tmp_path, "002_S_0295", RAW, "2006-04-18", "S13407")
    add(tmp_path, "002_S_0413", SCALED, "2006-05-02", "S13893")
    add(tmp_path, "002_S_0413", SCALED, "2006-11-15", "S22557")
    (tmp_path / "TADPOLE_D1_D2.csv").write_text(TABLE)
    return tmp_path


def lines_of(found):
    return [f"{one.subject} {one.visit} {one.reason}" for one in found.missing]


def test_every_day_is_a_visit_without_a_table(tree):
    found = find_adni(tree, sequence="MPR__*")
    assert [(s.subject, s.visit, s.path.parent.name) for s in found.scans] == [
        ("002_S_0295", "2006-04-18", "S13408"),
        ("002_S_0295", "2007-05-25", "S32678"),
        ("002_S_0413", "2006-05-02", "S13893"),
        ("002_S_0413", "2006-11-15", "S22557"),
    ]
    assert not found.missing
    assert find_adni(tree / "ADNI", sequence="MPR__*") == found


def test_the_table_gives_visits_and_what_is_missing_is_listed(tree):
    found = find_adni(tree, tree / "TADPOLE_D1_D2.csv", sequence="MPR__*")
    assert [(s.subject, s.visit) for s in found.scans] == [
        ("002_S_0295", "2006-04-10 bl"),
        ("002_S_0295", "2007-05-20 m12"),
        ("002_S_0413", "2006-05-01 bl"),
    ]
    lines = lines_of(found)
    assert len(lines) == 2
    assert "S22557" in lines[0]
    assert "no visit of the table within 60 days" in lines[0]
    assert lines[1].startswith("002_S_0619  in TADPOLE_D1_D2.csv, no folder")


def test_a_visit_without_a_scan_is_listed(tree):
    found = find_adni(tree, tree / "TADPOLE_D1_D2.csv", sequence="MPR__*", days=7)
    assert "002_S_0295 2006-04-10 bl no scan of this visit" in lines_of(found)
    assert [s.visit for s in found.scans] == ["2007-05-20 m12", "2006-05-01 bl"]


def test_two_images_of_a_visit_are_not_guessed_between(tree):
    found = find_adni(tree)
    assert ("002_S_0295", "2006-04-18") not in {(s.subject, s.visit) for s in found.scans}
    assert "2 images, which one is not said" in lines_of(found)[0]
    first = find_adni(tree, repeats="first")
    chosen = [s.path.parent.name for s in first.scans if s.visit == "2006-04-18"]
    assert chosen == ["S13407"]  # MPRAGE sorts before MPR__
    assert not first.missing


def test_dicom_and_folders_that_are_no_day_are_listed(tree):
    add(tree, "002_S_0619", SCALED, "2006-06-02", "S1", name="slice.dcm")
    add(tree, "002_S_0619", SCALED, "baseline", "S2")
    reasons = " ".join(lines_of(find_adni(tree, sequence="MPR__*")))
    assert "dcm2niix" in reasons
    assert "expected a day" in reasons


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("RID,PTID,EXAMDATE\n", "found no VISCODE"),
        (TABLE.replace("2006-05-01", "5/1/2006"), "line 4: expected EXAMDATE"),
    ],
)
def test_an_unusable_table_is_reported(tree, text, match):
    (tree / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        find_adni(tree, tree / "bad.csv")


def test_a_folder_that_is_no_download_is_reported(tmp_path):
    with pytest.raises(DataError, match="002_S_0295"):
        find_adni(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_adni(tmp_path / "none")
