"""The tables of the paper: what is filled, what is left empty, what is called reached."""

from pathlib import Path

import pytest

from benchmarks.paper import run, tables


def rows_of(method, count, column="random", **figures):
    return [
        dict.fromkeys(tables.COLUMNS_OF_CSV, "")
        | {"column": column, "pair": f"p{k}", "method": method}
        | {name: str(value) for name, value in figures.items()}
        for k in range(count)
    ]


def cells(*rows):
    return tables.Cells([row for own in rows for row in own])


def test_a_cell_of_fewer_than_thirty_pairs_stays_empty():
    few = cells(rows_of("none", 29, dice=0.5))
    assert list(tables.show_figure(few, "dice"))[1] == "(no cell has 30 pairs yet)"
    enough = cells(rows_of("none", 30, dice=0.5), rows_of("greedy", 29, dice=0.9))
    ours = "\n".join(tables.show_figure(enough, "dice")).split("As printed")[0].splitlines()[1:]
    lines = {line[:17].strip(): line[17:].split() for line in ours if line}
    assert lines[""] == ["random"]
    assert lines["no registration"] == ["0.500"]
    assert lines["Greedy"] == ["-"]


def test_the_papers_own_numbers_stand_below():
    text = "\n".join(tables.show_figure(cells(rows_of("none", 30, dice=0.5)), "dice"))
    ours, theirs = text.split("As printed in the paper, on its own data:")
    assert "0.500" in ours
    assert "0.937           0.960" in theirs
    assert "Greedy" not in theirs


def test_a_table_without_any_figure_in_a_column_leaves_it_out():
    found = cells(rows_of("none", 30, dice=0.5), rows_of("none", 30, column="rotated", dice=0.5))
    assert "(no cell" in "".join(tables.show_figure(found, "error_mm"))


@pytest.mark.parametrize(("less", "word"), [(0.0, "reached"), (0.0012, "reached"), (0.003, "MISSED")])
def test_a_tie_is_reached_and_a_loss_is_missed(less, word):
    figures = {"hd95_mm": 3.0, "mi_nats": 0.5}
    found = cells(
        rows_of("separate", 30, dice=0.9 - less, **figures),
        rows_of("sitk-affine", 30, dice=0.9, **figures),
    )
    line = next(line for line in tables.show_bars(found) if line.startswith("separate  random"))
    assert f"dice {0 - less:+.3f} {word}" in line


def test_differences_are_of_the_same_pairs():
    ours = rows_of("separate", 40, dice=0.8)
    theirs = rows_of("sitk-affine", 30, dice=0.7)
    assert cells(ours, theirs).difference("random", "separate", "sitk-affine", "dice") == pytest.approx(0.1)
    assert str(cells(ours[:30], theirs[:29]).difference("random", "separate", "sitk-affine", "dice")) == "nan"


def test_engines_that_gave_up_are_counted():
    rows = rows_of("greedy", 3, dice=0.5)
    rows[1]["note"] = "greedy ended with status 1"
    assert list(tables.show_failures(cells(rows))) == ["Greedy gave up on 1 of 3 pairs of random"]


def test_rows_are_appended_and_come_back(tmp_path):
    path = tmp_path / "paper.csv"
    for count in (1, 2):
        run.append(path, rows_of(f"m{count}", count, dice=0.5))
    assert [row["method"] for row in tables.read_rows(path)] == ["m1", "m2", "m2"]


def test_a_known_move_is_measured_in_mm(phantom, grids_by_name, tmp_path):
    import numpy as np

    from stnreg.datasets.pair_table import Pair
    from stnreg.transforms.io.files import save_transform

    move = np.eye(4)
    move[:3, 3] = (8.0, 0.0, 0.0)
    fixed, moving = phantom.volume(grids_by_name["LPS"]), phantom.volume(grids_by_name["LPS"], move)
    save_transform(tmp_path / "truth.tfm", move)
    pair = Pair(Path("f"), Path("m"), "p", truth=tmp_path / "truth.tfm")
    right, wrong = (run.figures_of(pair, fixed, moving, found) for found in (move, np.eye(4)))
    assert right["error_mm"] == pytest.approx(0, abs=1e-6)
    assert wrong["error_mm"] == pytest.approx(8, abs=1e-6)
    assert right["dice"] > 0.95 > wrong["dice"]
    assert right["hd95_mm"] < wrong["hd95_mm"]
    assert right["mi_nats"] > wrong["mi_nats"]
