"""The benchmark counts what it should: plans, tables, ROC curves; no data is read."""

import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import bench, bench_tables, roc, variants, verdict
from benchmarks.heads import Head
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid


def line(method, pair, **figures):
    kept = {"row": "known", "pair": str(pair), "method": method, "status": "0", "seconds": "2", "cpu_s": "1"}
    return dict.fromkeys(bench.COLUMNS, "") | kept | {k: str(v) for k, v in figures.items()}


def test_a_row_is_done_with_all_methods_before_the_next_and_what_is_there_is_not_run_again():
    tasks = bench.plan(["known", "half"], ["stnreg", "greedy"], None, {("known", "0", "greedy")})
    rows = [task.row for task in tasks]
    assert rows == sorted(rows, key=["known", "half"].index)
    assert tasks[0] == bench.Task("known", 0, ("stnreg",))
    counts = {m: sum(m in t.methods for t in tasks if t.row == "known") for m in ("stnreg", "greedy")}
    assert counts == {"stnreg": 51, "greedy": 29}
    assert all(row.pairs >= bench.LEAST_PAIRS <= row.peer_pairs for row in bench.ROWS.values())


def test_fewer_than_thirty_pairs_are_refused_but_as_a_trial(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["bench", "--pairs", "5", "--estimate", "--csv", str(tmp_path / "b.csv")])
    with pytest.raises(SystemExit):
        bench.main()
    assert "30" in capsys.readouterr().err
    monkeypatch.setattr(
        "sys.argv", ["bench", "--pairs", "5", "--estimate", "--trial", "--csv", str(tmp_path / "b.csv")]
    )
    bench.main()
    assert "straight   stnreg                  5" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_method_that_gave_up_is_lost_and_counts_as_infinitely_far():
    mine = [line("greedy", 0, error_mm=0.1), line("greedy", 1, status=4)]
    assert bench_tables.lost(mine).tolist() == [False, True]
    assert bench_tables.figure(mine).tolist() == [0.1, np.inf]
    assert "inf" in bench_tables.table("known", mine)[2]


def test_what_broke_in_stnreg_itself_is_not_the_methods_loss(monkeypatch, tmp_path, capsys):
    def ended(*_args, **_options):
        return subprocess.CompletedProcess([], 1, "", "Traceback (most recent call last):\nImportError: no such name")

    monkeypatch.setattr(bench.subprocess, "run", ended)
    monkeypatch.setattr(bench, "load_judge", lambda _folder: None)
    monkeypatch.setattr(bench, "_parent", os.getppid())
    pair = SimpleNamespace(write=lambda _folder: None, judge=None)
    monkeypatch.setitem(bench.ROWS, "known", SimpleNamespace(pair=lambda _number: pair))
    bench.run_task(bench.Task("known", 0, ("greedy",)), tmp_path, tmp_path / "bench.csv", keep=True)
    assert not (tmp_path / "bench.csv").exists()
    assert "ImportError" in capsys.readouterr().err


def test_the_difference_is_paired_and_to_the_best_peer():
    ours = [line("stnreg", k, error_mm=0.1 + 0.01 * k) for k in range(4)]
    near = [line("greedy", k, error_mm=0.2 + 0.01 * k) for k in range(3)]
    far = [line("elastix", k, error_mm=9) for k in range(4)]
    assert bench_tables.best_peer([*ours, *near, *far]) == "greedy"
    assert bench_tables.against(ours, near, 3) == "-0.100 [-0.100, -0.100]"
    table = bench_tables.table("known", [*ours, *near, *far])
    assert len({row.count("|") for row in table}) == 1
    assert table[-1].split("|")[-4].strip() == "4"  # elastix lost all, and nobody noticed


def test_dice_is_lost_below_a_share_of_the_oracle():
    mine = [line("stnreg", 0, dice=0.5, oracle=0.52), line("stnreg", 1, dice=0.3, oracle=0.52, status=3)]
    assert bench_tables.lost(mine).tolist() == [False, True]
    cells = [cell.strip() for cell in bench_tables.table("straight", mine)[2].split("|")]
    assert cells[-5:-2] == ["1", "0", "1"]  # lost, unnoticed, judged failed


def test_the_curve_of_known_scores():
    good, failed = np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.75, 0.2])
    assert roc.area(good, failed) == pytest.approx(8 / 9)
    thresholds, lost, found = roc.curve(good, failed)
    at = int(np.flatnonzero(thresholds == 0.7)[0])
    assert (lost[at], found[at]) == (0, pytest.approx(2 / 3))
    low, high = roc.wilson(98, 100)
    assert low == pytest.approx(0.930, abs=1e-3)
    assert high == pytest.approx(0.994, abs=1e-3)


@pytest.mark.parametrize("kind", sorted(set(verdict.WRONG)))
def test_a_wrong_start_is_wrong_about_the_middle_of_the_brain(kind):
    middle = np.array([5.0, -20.0, 30.0])
    move = verdict.wrong(kind, middle, np.random.default_rng(0))
    points = middle + 50 * np.vstack([np.eye(3), -np.eye(3)])
    assert np.linalg.norm(apply_affine(move, points) - points, axis=1).max() > 4
    assert (np.linalg.det(move[:3, :3]) < 0) == (kind == "mirrored")
    if kind in ("turned", "scaled"):
        np.testing.assert_allclose(apply_affine(move, middle), middle, atol=1e-9)


@pytest.mark.parametrize("kind", variants.KINDS)
def test_every_variant_knows_where_its_head_went(kind):
    """A bright ball in the brain lies where the map says, unless it was cut away."""
    shape = (40, 44, 36)
    zyx = np.indices(shape)
    brain = sum((x - c) ** 2 for x, c in zip(zyx, (20, 22, 18), strict=True)) < 12**2
    ball = sum((x - c) ** 2 for x, c in zip(zyx, (24, 18, 22), strict=True)) < 4**2
    skull = sum((x - c) ** 2 for x, c in zip(zyx, (20, 22, 18), strict=True)) < 16**2
    grid = Grid.from_parts(shape[::-1], (4.0, 4.0, 4.0), (-70.0, -90.0, -80.0))
    head = Head("ball", (50 * skull + 100 * brain + 900 * ball).astype(np.float32), brain.astype(np.int16), grid)
    made = variants.make(head, kind)
    assert made.image.shape == made.grid.shape
    again = variants.make(head, kind)
    np.testing.assert_array_equal(made.image, again.image)
    if kind in ("no brain", "neck"):
        assert made.head is None
        return
    if kind == "t2":  # the ball is no longer the brightest
        return
    center = apply_affine(grid.index_to_lps, np.argwhere(ball).mean(0)[::-1])
    index = apply_affine(made.grid.lps_to_index @ made.head_to_image, center)
    in_view = np.all((index > 5) & (index < np.array(made.grid.size) - 6))
    assert in_view == (kind != "slab")
    if in_view and kind != "hole":
        bright = np.argwhere(made.image > 0.6 * made.image.max()).mean(0)[::-1]
        assert np.linalg.norm((bright - index) * made.grid.spacing) < 6
    assert (np.linalg.det(made.head_to_image[:3, :3]) < 0) == (kind == "mirrored")
