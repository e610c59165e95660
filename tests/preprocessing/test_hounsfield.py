"""CT: what it is told by, and what becomes of table and bone."""

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.conditioning import conditioned
from stnreg.preprocessing.hounsfield import ct_offset, from_hounsfield

GRID = Grid.from_parts((80, 90, 60), (2.5, 2.5, 2.5), (-100, -112, -75))
BRAIN, BONE, FLESH, AIR, TABLE = 33.0, 1000.0, -80.0, -1000.0, 150.0


def ct() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a ball of brain in bone and fat, on a table, with noise; and where each of them is."""
    z, y, x = (np.arange(n) * 2.5 - n * 1.25 for n in GRID.shape)
    far = np.sqrt(z[:, None, None] ** 2 + (y[:, None] + 5) ** 2 + x**2)
    where = {
        "brain": far < 50,
        "bone": (far >= 50) & (far < 56),
        "flesh": (far >= 56) & (far < 66),
        "air": far >= 66,
        "table": np.broadcast_to((y[:, None] > 90) & (y[:, None] < 96), GRID.shape),
    }
    units = np.select([where[k] for k in ("table", "brain", "bone", "flesh")], [TABLE, BRAIN, BONE, FLESH], AIR)
    return (units + np.random.default_rng(0).normal(0, 4, GRID.shape)).astype(np.float32), where


CT, WHERE = ct()


@pytest.mark.parametrize("offset", [0.0, 1024.0])
def test_a_ct_is_told_from_an_mri(offset: float) -> None:
    assert ct_offset(CT.ravel().astype(float) + offset) == offset
    mri = np.abs(np.where(WHERE["brain"], 900.0, np.where(WHERE["flesh"], 600.0, 0)) + 20 * (CT - np.rint(CT)))
    assert ct_offset(mri.ravel()) is None
    filled = np.where(np.arange(GRID.size[0]) < 20, -1024.0, mri)
    assert ct_offset(filled.ravel()) is None


def test_bone_table_and_air_are_dark_and_the_brain_is_not() -> None:
    out = from_hounsfield(CT, GRID)
    assert out[WHERE["brain"]].mean() > 0.5
    for dark in ("bone", "air", "table"):
        assert np.median(out[WHERE[dark]]) < 0.1
    assert out[WHERE["table"]].max() == 0
    assert out[WHERE["flesh"]].mean() > 0.2


@pytest.mark.parametrize(("dtype", "offset"), [(np.int16, 0.0), (np.uint16, 1024.0), (np.int32, 0.0)])
def test_the_type_that_units_are_stored_in_does_not_matter(dtype: type, offset: float) -> None:
    whole = np.rint(CT)
    stored = (whole + offset).clip(0 if dtype is np.uint16 else None).astype(dtype)
    assert np.allclose(from_hounsfield(stored, GRID, offset), from_hounsfield(whole, GRID), atol=1e-6)


def test_the_gantry_circle_and_an_offset_change_nothing() -> None:
    outside = np.broadcast_to(np.hypot(*np.ogrid[-1:1:90j, -1:1:80j]) > 1, GRID.shape)
    as_it_is, _ = conditioned((CT, GRID))
    for array in (np.where(outside, np.float32(-3024), CT), CT + np.float32(1024)):
        found, _ = conditioned((array, GRID))
        assert np.allclose(found[WHERE["brain"]], as_it_is[WHERE["brain"]], atol=0.05)
        assert np.median(found[WHERE["air"]]) == 0
