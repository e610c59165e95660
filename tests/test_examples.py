import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stnreg.geometry.orientation import axis_codes
from stnreg.images.volume import load_volume

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["fixed.nii.gz", "moving.nii.gz"])
def test_the_pair_is_small_and_whole(name):
    assert (EXAMPLES / name).stat().st_size < 1_000_000
    volume = load_volume(EXAMPLES / name)
    assert volume.array.dtype == np.uint8
    assert not volume.warnings
    assert 180 < volume.grid.extent_mm.min() < 260


def test_the_two_are_stored_differently():
    assert axis_codes(load_volume(EXAMPLES / "fixed.nii.gz").grid) != axis_codes(
        load_volume(EXAMPLES / "moving.nii.gz").grid
    )


def test_without_label_maps_the_generator_says_so(tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "make_pair.py"],
        env=os.environ | {"STNREG_SHARED": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "skipped: no label maps" in run.stderr
