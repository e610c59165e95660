import csv

import pytest

from stnreg.batch.table import COLUMNS, Table
from stnreg.errors import DataError


def rows_of(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def row(name, **more):
    return {"id": name, "status": "passed", **more}


def test_a_row_is_in_the_file_as_soon_as_it_is_added(tmp_path):
    path = tmp_path / "results.csv"
    with Table(path, keep=False) as table:
        table.add(row("b", score=0.75, reasons="one,\ntwo", same_person=True))
        assert rows_of(path)[0]["score"] == "0.75"
        assert rows_of(path)[0]["reasons"] == "one, two"
        assert rows_of(path)[0]["same_person"] == "true"
        table.add(row("a"))
        table.finish(["a", "b"])
    assert [one["id"] for one in rows_of(path)] == ["a", "b"]
    assert tuple(rows_of(path)[0]) == COLUMNS


def test_a_row_that_was_cut_off_is_dropped_and_the_others_kept(tmp_path):
    path = tmp_path / "results.csv"
    with Table(path, keep=False) as table:
        table.add(row("a"))
        table.add(row("b"))
    text = path.read_text()
    path.write_text(text[:-5])
    with Table(path, keep=True) as table:
        assert list(table.rows) == ["a"]
        table.add(row("b"))
    assert path.read_text() == text


def test_without_keep_it_begins_anew(tmp_path):
    path = tmp_path / "results.csv"
    for _ in range(2):
        with Table(path, keep=False) as table:
            assert not table.rows
            table.add(row("a"))
    assert len(rows_of(path)) == 1


def test_only_one_run_writes_at_a_time(tmp_path):
    path = tmp_path / "results.csv"
    with Table(path, keep=False), pytest.raises(DataError, match="another run"):
        Table(path, keep=True)
    with Table(path, keep=True):
        pass


@pytest.mark.parametrize("content", ["id,status\na,passed\n", "\xff\xfe\n"])
def test_another_table_is_not_gone_on_with(tmp_path, content):
    path = tmp_path / "results.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"results\.csv"):
        Table(path, keep=True)
    assert path.read_bytes() == content.encode("latin-1")
