"""A few of the damaged files of benchmarks/fuzz.py: only stnreg's own errors come out of them."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.fuzz")


def test_damaged_files_are_read_or_refused(fuzz, tmp_path):
    counts, findings, slowest_s = fuzz.run(300, tmp_path)
    assert not findings
    assert slowest_s < fuzz.LIMIT_S
    kinds = {kind for kind, _ in counts}
    assert kinds == set(fuzz.kinds(tmp_path))
    for kind in kinds:
        assert counts[kind, "refused"] > 2


def test_the_sound_examples_are_read(fuzz, tmp_path):
    kinds = fuzz.kinds(tmp_path)
    assert {"nifti1", "mgz", "nrrd", "tfm", "lta"} <= kinds.keys()
    for kind in kinds.values():
        path = tmp_path / f"sound{kind.suffix}"
        path.write_bytes(fuzz.gzip.compress(kind.content) if kind.is_packed else kind.content)
        kind.read(path)  # raises what it cannot read


def test_the_damage_is_the_same_every_time(fuzz, tmp_path):
    kind = fuzz.kinds(tmp_path)["nifti1"]
    one, same, other = (fuzz.damaged(kind, fuzz.np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other
