"""A seed gives the same bytes, whatever the order and the number of processes; what is whole is kept."""

import numpy as np
import pytest

from stnreg.datasets.pair_table import load_pairs
from stnreg.errors import UsageProblem
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.dataset import plan_pair, simulate
from stnreg.simulation.moves import RANGES
from stnreg.transforms.io.files import load_transform

SMALL = CubeRecipe(RANGES["cubes"], 24)


def bytes_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_bytes_from_one_process_and_from_two(tmp_path):
    simulate(SMALL, tmp_path / "one", (2, 0, 1), seed=5)
    simulate(SMALL, tmp_path / "two", (2, 0, 1), seed=5, jobs=2)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_other_splits_and_seeds_do_not_touch_a_pair(tmp_path):
    simulate(SMALL, tmp_path / "a", (1, 1, 1), seed=5)
    simulate(SMALL, tmp_path / "b", (0, 0, 2), seed=5)
    simulate(SMALL, tmp_path / "c", (0, 0, 1), seed=6)
    a, b, c = (bytes_of(tmp_path / name) for name in "abc")
    name = "test/0000/moving.nii.gz"
    assert a[name] == b[name] != c[name]
    assert a["train/0000/moving.nii.gz"] != a[name]


def test_it_continues_where_it_stopped(tmp_path):
    progress = []
    simulate(SMALL, tmp_path, (3, 0, 0))
    whole = bytes_of(tmp_path)
    kept = (tmp_path / "train/0000/fixed.nii.gz").stat().st_mtime_ns
    (tmp_path / "train/0001/truth.tfm").unlink()
    (tmp_path / "train/0002/moving_labels.nii.gz").unlink()
    simulate(SMALL, tmp_path, (3, 0, 0), progress=lambda done, total: progress.append((done, total)))
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert bytes_of(tmp_path) == whole
    assert (tmp_path / "train/0000/fixed.nii.gz").stat().st_mtime_ns == kept


def test_two_ways_do_not_mix_in_one_folder(tmp_path):
    simulate(SMALL, tmp_path, (1, 0, 0), seed=1)
    simulate(SMALL, tmp_path, (2, 0, 0), seed=1)
    with pytest.raises(UsageProblem, match="another way"):
        simulate(SMALL, tmp_path, (1, 0, 0), seed=2)


def test_the_table_is_one_that_the_other_commands_read(tmp_path):
    pairs = load_pairs(simulate(SMALL, tmp_path, (1, 1, 2)))
    assert [p.split for p in pairs] == ["train", "validation", "test", "test"]
    for pair in pairs:
        assert pair.fixed.exists()
        assert pair.moving_labels.exists()
        assert np.isfinite(load_transform(pair.truth)).all()


def test_a_plan_paints_nothing_and_repeats(head_file):
    assert plan_pair(SMALL, "test", 7, 1) == plan_pair(SMALL, "test", 7, 1)
