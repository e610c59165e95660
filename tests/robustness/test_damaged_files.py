"""A few of the damaged files are read: only stnreg's own errors come out of them."""

import gzip

import numpy as np

from tests.robustness import damaged_files


def test_damaged_files_are_read_or_refused(tmp_path):
    counts, findings, slowest_s = damaged_files.run(300, tmp_path)
    assert not findings
    assert slowest_s < damaged_files.LIMIT_S
    kinds = {kind for kind, _ in counts}
    assert kinds == set(damaged_files.kinds(tmp_path))
    for kind in kinds:
        assert counts[kind, "refused"] > 2


def test_the_sound_examples_are_read(tmp_path):
    kinds = damaged_files.kinds(tmp_path)
    assert {"nifti1", "mgz", "nrrd", "tfm", "lta"} <= kinds.keys()
    for kind in kinds.values():
        path = tmp_path / f"sound{kind.suffix}"
        path.write_bytes(gzip.compress(kind.content) if kind.is_packed else kind.content)
        kind.read(path)  # raises what it cannot read


def test_the_damage_is_the_same_every_time(tmp_path):
    kind = damaged_files.kinds(tmp_path)["nifti1"]
    one, same, other = (damaged_files.damaged(kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other
