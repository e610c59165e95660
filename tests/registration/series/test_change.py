from types import SimpleNamespace

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.series.change import EDGE_MM, SHIFT_MM, ChangeResult, voxel_warnings

LOGS = [0.01, -0.01, 0.04]


def result(count, boundary_per_mm):
    return ChangeResult(
        {"brain": LOGS[:count], "frontal_L": LOGS[:count]},
        {"brain": [0.0003] * count},
        {"brain": boundary_per_mm},
        {"brain": 1000.0, "frontal_L": 100.0},
        [np.zeros((2, 2, 2), np.float32)] * count,
        [np.zeros((3, 2, 2, 2), np.float32)] * count,
        Grid.cube((0, 0, 0), 2, 1.0),
    )


@pytest.mark.parametrize(("count", "by_residuals"), [(2, 2 * 0.0003), (3, np.sqrt(2) * 0.0003)])
def test_the_error_holds_residuals_a_shift_of_the_boundary_and_of_the_region(count, by_residuals):
    percent, error = result(count, 0.2).percent("brain", 0, 1)
    assert percent == pytest.approx(100 * np.expm1(-0.02))
    parts = by_residuals, 0.2 * SHIFT_MM, 0.2 * EDGE_MM * 0.02
    assert error == pytest.approx(100 * np.exp(-0.02) * np.linalg.norm(parts))


def test_a_region_without_residuals_has_no_error():
    assert result(3, 0.2).percent("frontal_L", 0, 2)[1] is None


def test_coarse_voxels_are_told():
    fine, coarse = (
        SimpleNamespace(volume=SimpleNamespace(grid=Grid.cube((0, 0, 0), 4, spacing)))
        for spacing in (1.2, (1.0, 1.0, 3.0))
    )
    (told,) = voxel_warnings([fine, coarse], ["2019", "2021"])
    assert told.startswith("2021: voxels of 3.0 mm")
