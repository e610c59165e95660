import numpy as np
import pytest
from PIL import Image

from stnreg.training.curves import COLORS, MOST_POINTS, curves_by_panel, thinned, write_curves
from stnreg.training.record import Figure, Record, read_metrics


def test_rows_come_back_and_later_ones_are_dropped_on_resume(tmp_path):
    record = Record(tmp_path, None)
    for step in (5, 10, 15):
        record.add(step, "train", {"loss": 1 / step, "rate": 0.1})
    assert read_metrics(record.path)[2] == Figure(10, "train", "loss", 0.1)
    again = Record(tmp_path, 10)
    assert [figure.step for figure in read_metrics(again.path)] == [5, 5, 10, 10]
    assert read_metrics(Record(tmp_path, None).path) == []


def test_a_row_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,split,name,value\n5,train,loss,0.5\n10,tra")
    assert read_metrics(tmp_path / "metrics.csv") == [Figure(5, "train", "loss", 0.5)]


def test_the_score_shares_the_panel_of_the_loss():
    figures = [Figure(1, "train", "loss", 2.0), Figure(1, "validation", "score", 1.0), Figure(1, "train", "x", np.inf)]
    assert curves_by_panel(figures) == {"loss": {"train": [(1, 2.0)], "validation": [(1, 1.0)]}}


def test_long_curves_are_thinned_to_means():
    points = [(step, float(step % 2)) for step in range(10 * MOST_POINTS)]
    few = thinned(points)
    assert len(few) == MOST_POINTS
    assert {value for _, value in few} == {0.5}
    assert few[-1][0] == points[-1][0]


@pytest.mark.parametrize("top", [1.0, 1e4])
def test_curves_are_drawn_in_their_colours(tmp_path, top):
    figures = [Figure(s, split, "loss", top / s) for s in range(1, 50) for split in ("train", "validation")]
    write_curves(tmp_path / "curves.png", [*figures, Figure(1, "train", "once", 1.0)])
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"))
    for color in COLORS.values():
        assert (pixels == color).all(-1).sum() > 20


def test_tensorboard_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard: pip install tensorboard")
    record = Record(tmp_path, None)
    record.add(1, "train", {"loss": 1.0})
    record.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))
