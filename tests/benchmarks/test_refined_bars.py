import numpy as np
import pytest

from benchmarks.paper import tables
from benchmarks.paper.refined_bars import described, show_refined


def rows(method, values, figure="dice", column="random"):
    empty = dict.fromkeys(tables.COLUMNS_OF_CSV, "")
    return [empty | {"column": column, "pair": str(k), "method": method, figure: str(v)} for k, v in enumerate(values)]


@pytest.mark.parametrize(
    ("change", "figure", "word"),
    [(0.01, "dice", "better"), (-0.001, "dice", "worse"), (-0.01, "dice", "MISSED"), (0.2, "hd95_mm", "MISSED"),
     (-0.2, "hd95_mm", "better"), (-0.02, "mi_nats", "MISSED")],
)  # fmt: skip
def test_a_difference_is_judged_by_its_interval_and_by_the_tie(change, figure, word):
    assert described(np.full(40, change), figure).endswith(word)


def test_a_difference_within_its_noise_is_level():
    assert described(np.tile([0.01, -0.01], 20), "dice").endswith("level")


def test_only_pairs_that_both_have_are_compared():
    cells = tables.Cells(rows("separate-refined", np.full(40, 0.9)) + rows("sitk-affine", np.full(35, 0.8)))
    line = next(line for line in show_refined(cells) if line.startswith("random"))
    assert " 35 " in line
    assert "+0.100" in line
    assert line.count("better") == 1
