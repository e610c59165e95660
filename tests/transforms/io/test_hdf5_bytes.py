"""The times in HDF5 files: gone, with checksums that hold."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.transforms.affine import Affine
from stnreg.transforms.io.h5 import is_our_h5, save_h5
from stnreg.transforms.io.hdf5_bytes import SIGNATURE, without_times


def test_no_time_is_left_and_everybody_still_reads_it(tmp_path: Path) -> None:
    sitk.WriteTransform(sitk.TranslationTransform(3, (1.0, 2.0, 3.0)), str(tmp_path / "theirs.h5"))
    content = (tmp_path / "theirs.h5").read_bytes()
    timeless = without_times(content)
    assert timeless != content
    assert len(timeless) == len(content)
    assert without_times(timeless) == timeless
    start = timeless.find(SIGNATURE)
    assert timeless[start + 6 : start + 22] == bytes(16)
    (tmp_path / "ours.h5").write_bytes(timeless)
    assert sitk.ReadTransform(str(tmp_path / "ours.h5")).TransformPoint((0.0, 0.0, 0.0)) == (1, 2, 3)


def test_letters_that_stand_there_by_chance_stay() -> None:
    content = b"x" * 7 + SIGNATURE + b"\x20" + bytes(range(1, 60))
    assert without_times(content) == content
    assert without_times(content[:20]) == content[:20]


def test_our_end_is_left_alone_by_readers(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_h5(path, Affine(np.diag([2.0, 1, 1, 1])))
    assert is_our_h5(path)
    assert sitk.ReadTransform(str(path)).TransformPoint((1.0, 2.0, 3.0)) == (2, 2, 3)
    h5py = pytest.importorskip("h5py", reason="needs h5py: pip install h5py")
    with h5py.File(path) as file:
        assert "TransformGroup" in file
