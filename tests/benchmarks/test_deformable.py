"""The deformable benchmark counts what it should; no data is read but a toy head."""

import numpy as np
import pytest

from benchmarks.common.heads import Head
from benchmarks.deformable import methods, pairs, run, tables
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.displacement import DisplacementField

GRID = Grid.cube((5, -10, 20), 24, 4.0)


def line(method, pair, **figures):
    kept = {"row": "people", "pair": str(pair), "method": method, "status": "0", "seconds": "2", "cpu_s": "1"}
    kept |= {"dice_before": "0.5", "folds_central": "0", "folds_digital": "0", "log_jacobian_sd": "0.2"}
    return dict.fromkeys(run.COLUMNS, "") | kept | {k: str(v) for k, v in figures.items()}


def cells(rows, method):
    heads, *body = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows)
    return dict(zip(heads, next(row for row in body if row[0] == f"`{method}`"), strict=True))


def test_what_is_there_is_not_run_again():
    tasks = list(run.missing(["people"], ["stnreg-deform", "ants-syn"], 2, {("people", "0", "ants-syn")}))
    assert tasks == [("people", 0, ["stnreg-deform"]), ("people", 1, ["stnreg-deform", "ants-syn"])]
    assert set(methods.METHODS) >= {"greedy-deform-own", "stnreg-deform"}


def test_the_difference_is_paired_and_a_method_that_gave_up_has_lost():
    ours = [line("stnreg-deform", k, dice=0.7 + 0.01 * k) for k in range(4)]
    best = [line("greedy-deform", k, dice=0.65 + 0.01 * k, folds_digital=k) for k in range(3)]
    gone = [line("ants-syn", 0, log_jacobian_sd="", status=4)]
    rows = tables.table([*ours, *best, *gone])
    assert tables.best_peer([*ours, *best, *gone]) == "greedy-deform"
    assert cells(rows, "stnreg-deform")["against best peer"] == "+0.0500 [+0.0500, +0.0500] on 3"
    assert cells(rows, "greedy-deform")["folds"].startswith("0, 2;")
    assert cells(rows, "ants-syn")["worse than affine"] == "1"
    assert cells(rows, "ants-syn")["label Dice"] == "0.5000"


def test_the_sentence_compares_the_pairs_that_both_ran():
    ours = [line("stnreg-deform", k, dice=0.7 + 0.02 * k, folds_digital=int(k == 2)) for k in range(4)]
    said = tables.sentence(
        [*ours, *(line("greedy-deform", k, dice=0.6) for k in range(2)), line("ants-syn", 3, dice=0.55)]
    )
    said = said.replace("\n", " ")
    assert "from 0.50 to 0.73 (4 pairs), with folds in 1 of them" in said
    assert "`greedy-deform`, reaches 0.60 on the 2 pairs that it was run on, and stnreg 0.71 on these" in said
    assert tables.sentence(ours).endswith("in 1 of them.")


def test_contrasts_are_compared_on_the_same_anatomies():
    t1 = [line("stnreg-deform", k, dice=d) for k, d in enumerate((0.61, 0.62, 0.80))]
    t2 = [line("stnreg-deform", k, dice=d) for k, d in enumerate((0.60, 0.60))]
    assert "-0.0150 [-0.0200, -0.0100] on 2" in tables.beside_t1(t2, t1)
    assert tables.beside_t1(t1, t1) == tables.beside_t1(t2, []) == ""


def test_an_error_is_better_where_it_is_smaller():
    ours = [line("stnreg-deform", 0, dice_before="", error_before_mm=3, error_mm=1)]
    worse = [line("greedy-deform", 0, dice_before="", error_before_mm=3, error_mm=4)]
    rows = tables.table([*ours, *worse])
    assert cells(rows, "stnreg-deform")["gain"] == "+2.0000"
    assert cells(rows, "greedy-deform")["worse than affine"] == "1"
    assert cells(rows, "stnreg-deform")["against best peer"].startswith("-3.0000")


def test_dice_is_one_through_the_true_map_and_a_fold_is_counted():
    labels = np.zeros(GRID.shape, np.int16)
    labels[6:18, 5:15, 8:20] = 4
    labels[9:14, 5:15, 8:20] = 7
    head = Head("toy", labels, labels, GRID)
    shift = from_parameters(Parameters((8.0, 0.0, 4.0)), (0, 0, 0))
    vectors = np.zeros((3, *GRID.shape), np.float32)
    vectors[0], vectors[2] = -8, -4
    found = methods.Found(DisplacementField(vectors, GRID), shift)  # the warp takes back what the affine does
    truth = pairs.Truth(head, head, np.eye(4))
    assert truth.judge(found.transform)["dice"] == pytest.approx(1)
    assert run.strain(found, truth)["folds_digital"] == 0
    vectors[0, :, :, 12] += 20
    assert run.strain(methods.Found(DisplacementField(vectors, GRID), shift), truth)["folds_digital"] > 0


def test_a_bend_reaches_as_far_as_asked_and_does_not_fold():
    z, y, x = np.indices((40, 44, 42)) - 20
    codes = np.where(z**2 + y**2 + x**2 < 14**2, 2, 0).astype(np.int16)
    shift = pairs.bend(codes, 1.5, np.random.default_rng(0))
    length = np.sqrt(sum(axis**2 for axis in shift))
    assert length.max() == pytest.approx(1.5, rel=1e-3)
    field = DisplacementField(np.stack(shift[::-1]), Grid((42, 44, 40), np.eye(4)))
    assert field.count_folds().digital == 0
