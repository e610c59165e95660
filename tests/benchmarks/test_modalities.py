"""The benchmark across modalities counts what it should; no data is read."""

import numpy as np
import pytest

from benchmarks.modalities import kinds, people, run, tables, zoo


def line(method, pair, **figures):
    kept = {"pair": str(pair), "method": method, "cpu_s": "1.5", "passed": "True"}
    return dict.fromkeys(run.COLUMNS, "") | kept | {k: str(v) for k, v in figures.items()}


def test_a_lost_pair_is_counted_and_the_best_peer_named():
    lines = [
        line("stnreg", k, error_mm=e, same_person=True, similarity="mutual information") for k, e in enumerate((1, 9))
    ]
    lines += [line("stnreg-no-refine", k, error_mm=3) for k in range(2)]
    lines += [line("greedy", k, error_mm=e) for k, e in enumerate((0.1, 7))]
    lines += [line("elastix", k, error_mm=e) for k, e in enumerate((0.5, 0.7))]
    lines += [line("niimath", 0, error_mm=0.8)]
    cells = dict(zip(tables.HEADS_ONE, tables.one_person("ct", lines), strict=True))
    assert cells["error mm"] == "5.00"
    assert cells["lost"] == "1"
    assert cells["unrefined"] == "3.00"
    assert cells["one person"] == cells["information"] == "2"
    assert cells["best peer"] == "0.60 (`elastix`, 0 of 2 lost)"


def test_a_peer_that_loses_all_has_no_mean():
    assert tables.best_of({"greedy": np.array([50.0, np.inf])}) == "inf (`greedy`, 2 of 2 lost)"
    assert tables.best_of({}) == ""


def test_the_best_peer_of_a_real_pair_is_the_nearest_that_found_a_transform(tmp_path, monkeypatch):
    found = {"greedy": np.diag([2.0, 1, 1, 1]), "elastix": np.eye(4), "niimath": None}
    monkeypatch.setattr(zoo, "run_method", lambda name, *_: (found[name], {}))
    monkeypatch.setattr(zoo, "error_mm", lambda _, matrix: float(matrix[0, 0]))
    assert zoo.best_peer(tmp_path, list(found)) == "1.00 (`elastix`)"
    assert zoo.best_peer(tmp_path, ["niimath"]) == zoo.best_peer(tmp_path, []) == ""


def test_two_people_are_compared_pair_by_pair():
    refined, plain = (0.50, 0.47, 0.52), (0.49, 0.49, 0.50)
    lines = [line("stnreg", k, dice=d) for k, d in enumerate(refined)]
    lines += [line("stnreg-no-refine", k, dice=d) for k, d in reversed(list(enumerate(plain)))]
    cells = dict(zip(tables.HEADS_TWO, tables.two_people("ixi", lines), strict=True))
    assert cells["refined less unrefined"].startswith("+0.0033")
    assert cells["worst pair"] == "-0.0200"
    assert cells["below -0.01"] == "1"
    assert cells["refused"] == "0"


def test_every_row_has_its_pairs():
    assert {len(row()) for row in people.ROWS.values()} == {18, 9, 6}
    assert run.pairs_of("ct", 30) == 30
    assert set(kinds.KINDS) == {"ct", "epi", "pet", "pd", "inverted", "random"}


def test_ventricles_grow_and_nothing_else_is_lost():
    z, y, x = np.indices((64, 64, 64)) - 31.5
    codes = np.where(z**2 + y**2 + x**2 < 26**2, 2, 0)
    codes[z**2 + (2 * y) ** 2 + (2 * x) ** 2 < 10**2] = 4
    grown = people.with_large_ventricles(codes.astype(np.int16), 1.0)
    assert (grown == 4).sum() == pytest.approx(2 * (codes == 4).sum(), rel=0.2)
    assert (grown > 0).sum() == pytest.approx((codes > 0).sum(), rel=0.02)
