import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.reports import streams

ROWS = [("dice", "mean", 0.1 + 0.2, "1"), ("hd", "17", float("nan"), "mm")]
HEADER = ("metric", "label", "value", "unit")


def test_off_a_terminal_each_row_is_a_tab_separated_line(capsys):
    streams.show_table(HEADER, ROWS)
    assert capsys.readouterr().out == "dice\tmean\t0.3\t1\nhd\t17\tnan\tmm\n"


def test_on_a_terminal_it_is_a_table(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    streams.show_table(HEADER, ROWS, title="moved on fixed")
    text = capsys.readouterr().out
    assert "moved on fixed" in text
    assert "metric" in text
    assert "0.3" in text
    assert "\t" not in text


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_table_keeps_square_brackets_and_the_ends_of_long_cells(capsys, monkeypatch, columns):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    digest = "0123456789abcdef" * 4
    path = "/data/" + "deep/" * 30 + "[old]/head[1].nii.gz"
    rows = [
        ("package", "torch", "missing", "pip install 'stnreg[train]'"),
        ("network", "anatomy", "ok", f"sha256 {digest}"),
        ("network", "affine", "ok", path),
    ]
    streams.show_table(("group", "name", "status", "[detail]"), rows, title="head[red].nii")
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert "…" not in "".join(lines)
    assert "head[red].nii" in lines[0]
    start = next(line for line in lines if "[detail]" in line).index("[detail]")
    detail = "".join(line[start:].strip() for line in lines)
    assert "stnreg[train]" in detail
    assert digest in detail
    assert path in detail
    assert max(map(len, lines)) <= columns


def test_json_says_null_for_nan_and_takes_arrays_and_paths(tmp_path):
    path = tmp_path / "out.json"
    streams.write_json({"a": np.eye(2), "b": float("nan"), "c": Path("x.nii"), "d": np.float32(0.5)}, path)
    assert json.loads(path.read_text()) == {"a": [[1, 0], [0, 1]], "b": None, "c": "x.nii", "d": 0.5}


def test_a_dash_is_stdout(capsys):
    streams.write_csv(HEADER, ROWS, "-")
    assert capsys.readouterr().out.splitlines()[:2] == ["metric,label,value,unit", "dice,mean,0.3,1"]


def test_a_folder_that_is_not_there_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        streams.write_json({}, tmp_path / "nowhere" / "out.json")
