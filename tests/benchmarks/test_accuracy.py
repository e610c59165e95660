"""The accuracy benchmark counts what it should: plans, and tables; no data is read."""

import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.accuracy import methods, results, run, tables


def line(method, pair, **figures):
    kept = {"row": "known", "pair": str(pair), "method": method, "status": "0", "seconds": "2", "cpu_s": "1"}
    return dict.fromkeys(results.COLUMNS, "") | kept | {k: str(v) for k, v in figures.items()}


def test_a_row_is_done_with_all_methods_before_the_next_and_what_is_there_is_not_run_again():
    tasks = run.plan(["known", "half"], ["stnreg", "greedy"], None, {("known", "0", "greedy")})
    rows = [task.row for task in tasks]
    assert rows == sorted(rows, key=["known", "half"].index)
    assert tasks[0] == run.Task("known", 0, ("stnreg",))
    counts = {m: sum(m in t.methods for t in tasks if t.row == "known") for m in ("stnreg", "greedy")}
    assert counts == {"stnreg": 51, "greedy": 29}
    assert all(row.pairs >= run.LEAST_PAIRS <= row.peer_pairs for row in run.ROWS.values())


def test_fewer_than_thirty_pairs_are_refused_but_as_a_trial(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["run", "--pairs", "5", "--estimate", "--csv", str(tmp_path / "b.csv")])
    with pytest.raises(SystemExit):
        run.main()
    assert "30" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["run", "--pairs", "5", "--estimate", "--trial", "--csv", str(tmp_path / "b.csv")])
    run.main()
    assert "straight   stnreg                  5" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_method_that_gave_up_has_failed_and_counts_as_infinitely_far():
    mine = [line("greedy", 0, error_mm=0.1), line("greedy", 1, status=4)]
    assert results.failed(mine).tolist() == [False, True]
    assert results.figure(mine).tolist() == [0.1, np.inf]
    assert "inf" in tables.table("known", mine)[2]


def test_what_broke_in_stnreg_itself_is_not_the_methods_loss(monkeypatch, tmp_path, capsys):
    def ended(*_args, **_options):
        return subprocess.CompletedProcess([], 1, "", "Traceback (most recent call last):\nImportError: no such name")

    monkeypatch.setattr(methods.subprocess, "run", ended)
    monkeypatch.setattr(run, "load_judge", lambda _folder: None)
    monkeypatch.setattr(run, "_parent", os.getppid())
    pair = SimpleNamespace(write=lambda _folder: None, judge=None)
    monkeypatch.setitem(run.ROWS, "known", SimpleNamespace(pair=lambda _number: pair))
    run.run_task(run.Task("known", 0, ("greedy",)), tmp_path, tmp_path / "bench.csv", keep=True)
    assert not (tmp_path / "bench.csv").exists()
    assert "ImportError" in capsys.readouterr().err


def test_the_difference_is_paired_and_to_the_best_peer():
    ours = [line("stnreg", k, error_mm=0.1 + 0.01 * k) for k in range(4)]
    near = [line("greedy", k, error_mm=0.2 + 0.01 * k) for k in range(3)]
    far = [line("elastix", k, error_mm=9) for k in range(4)]
    assert tables.best_peer([*ours, *near, *far]) == "greedy"
    assert tables.against(ours, near, 3) == "-0.100 [-0.100, -0.100]"
    printed = tables.table("known", [*ours, *near, *far])
    assert len({row.count("|") for row in printed}) == 1
    assert printed[-1].split("|")[-4].strip() == "4"  # elastix failed on all, undetected


def test_dice_has_failed_below_a_share_of_the_oracle():
    mine = [line("stnreg", 0, dice=0.5, oracle=0.52), line("stnreg", 1, dice=0.3, oracle=0.52, status=3)]
    assert results.failed(mine).tolist() == [False, True]
    cells = [cell.strip() for cell in tables.table("straight", mine)[2].split("|")]
    assert cells[-5:-2] == ["1", "0", "1"]  # failed, undetected, rejected


def test_the_short_table_has_a_line_per_tool():
    upright = [line("stnreg", k, dice=0.5, oracle=0.52, seconds=2) for k in range(3)]
    upright += [line("greedy", k, dice=0.1 if k else 0.5, oracle=0.52, seconds=4) for k in range(3)]
    known = [line(method, k, error_mm=0.1 + k, seconds=3) for method in ("stnreg", "greedy") for k in range(3)]
    known.append(line("stnreg", 3, error_mm=99, seconds=99))  # a pair that Greedy did not run
    printed = tables.short_table({"straight": upright, "known": known})
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in printed]
    assert cells[0] == ["tool", "Dice, two people", "error in mm, one person", "failed pairs", "seconds"]
    assert cells[2:] == [["stnreg", "0.50", "1.10", "0 of 6", "2.5"], ["Greedy", "0.23", "1.10", "2 of 6", "3.5"]]
