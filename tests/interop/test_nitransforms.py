"""nitransforms reads the matrix that we wrote, and we read what it writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnreg.geometry.affine import corner_error_mm
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.transforms.io.files import load_transform, save_transform

linear = pytest.importorskip("nitransforms.linear", reason="needs nitransforms: pip install 'stnreg[peers]'")

HEAD = Grid.cube((0, 0, 0), 100, 2.0)


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".mat"])
def test_it_reads_our_matrix(case: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_transform(path, case.fixed_to_moving)
    theirs = swap_lps_ras(linear.load(path, fmt="itk").matrix)
    # It keeps text in single precision, .mat in double.
    assert corner_error_mm(theirs, case.fixed_to_moving, HEAD) < (1e-9 if suffix == ".mat" else 1e-3)


def test_we_read_its_matrix(case: Any, tmp_path: Path) -> None:
    theirs = linear.Affine(swap_lps_ras(case.fixed_to_moving))
    theirs.to_filename(str(tmp_path / "a.tfm"), fmt="itk")
    # Its text has six digits.
    assert corner_error_mm(load_transform(tmp_path / "a.tfm"), case.fixed_to_moving, HEAD) < 0.01


def test_it_makes_our_image(case: Any) -> None:
    apply = pytest.importorskip(
        "nitransforms.resampling", reason="needs nitransforms: pip install 'stnreg[peers]'"
    ).apply
    moved = apply(linear.load(case.tfm, fmt="itk"), str(case.moving), reference=str(case.fixed), order=1)
    theirs = np.asarray(moved.dataobj).T
    from stnreg.images.volume import load_volume

    ours = load_volume(case.ours).array
    # Single precision of the matrix, and of the coordinates, costs some 1e-3 of a voxel.
    assert np.abs(theirs - ours)[case.inside].max() < 2e-3 * ours.max()
