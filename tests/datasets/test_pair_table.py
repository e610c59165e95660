import pytest

from stnreg.datasets.pair_table import BadRow, load_pairs, load_rows
from stnreg.errors import DataError


def table(tmp_path, text, name="pairs.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_table_and_unknown_columns_are_kept(tmp_path):
    path = table(tmp_path, "id,fixed,moving,truth,scanner\nA,a.nii,/data/b.nii,,Prisma\n")
    (pair,) = load_pairs(path)
    assert pair.id == "A"
    assert pair.fixed == tmp_path / "a.nii"
    assert str(pair.moving) == "/data/b.nii"
    assert pair.truth is None
    assert pair.other == {"scanner": "Prisma"}


def test_rows_without_id_are_numbered(tmp_path):
    assert [p.id for p in load_pairs(table(tmp_path, "fixed,moving\na,b\nc,d\n"))] == ["1", "2"]


def test_a_byte_order_mark_and_tabs_are_read(tmp_path):
    assert load_pairs(table(tmp_path, "\ufefffixed\tmoving\na\tb\n", "pairs.tsv"))[0].fixed == tmp_path / "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed\na\n", "found no moving"),
        ("fixed,moving\n", "no pairs"),
        ("", "found no fixed and moving"),
        ("fixed,moving\na\n", "line 2: expected 2 cells"),
        ("fixed,moving\na,b,c\n", "line 2: expected 2 cells"),
        ("fixed,moving\na,\n", "line 2: the cell under moving is empty"),
        ("id,fixed,moving\nx,a,b\nx,c,d\n", "two rows have the id 'x'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_pairs(table(tmp_path, text))


def test_a_missing_table_and_an_image_instead_of_one(tmp_path):
    with pytest.raises(DataError, match=r"absent\.csv"):
        load_pairs(tmp_path / "absent.csv")
    image = tmp_path / "image.csv"
    image.write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"image\.csv"):
        load_pairs(image)


def test_a_bad_row_does_not_end_the_others(tmp_path):
    path = table(tmp_path, "id,fixed,moving\na,x,y\nb,,y\nc,x\n,x,y\n,,\n")
    rows = load_rows(path)
    assert [row.id for row in rows] == ["a", "b", "c", "4"]
    assert [isinstance(row, BadRow) for row in rows] == [False, True, True, False]
    assert rows[1].reason == "line 3: the cell under fixed is empty"
    assert rows[2].reason == "line 4: expected 3 cells, as in the first line"
