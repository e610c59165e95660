"""Tables of points, with and without names."""

from pathlib import Path

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.transforms.io.points import load_points, save_points


def test_other_columns_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,x,y,z,t\nleft,1,2,3,0\nright,4,5,6.5,0\n")
    table = load_points(tmp_path / "a.csv")
    assert np.array_equal(table.points, [[1, 2, 3], [4, 5, 6.5]])
    save_points(tmp_path / "b.csv", table.points + 0.1, like=table)
    again = load_points(tmp_path / "b.csv")
    assert np.array_equal(again.points, table.points + 0.1)
    assert again.header == ("label", "x", "y", "z", "t")
    assert again.rows[1][0] == "right"


def test_without_names_the_first_three_count(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n\n4,5,6,more\n")
    assert np.array_equal(load_points(tmp_path / "a.csv").points, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("text", "message"), [("a,b,c\n1,2,3\n", "columns"), ("x,y,z\n1,2\n", "line 2"), ("1,2,nan\n", "finite")]
)
def test_what_is_no_point_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_points(tmp_path / "a.csv")
