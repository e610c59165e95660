"""Connected parts of a mask."""

import numpy as np

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.components import largest_component, onto

GRID = Grid.from_parts((40, 40, 40), (4.0, 4.0, 4.0), (0, 0, 0))


def test_the_largest_part_is_kept_without_sheets_and_with_its_holes_filled() -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[8:28, 8:28, 8:28] = True
    mask[16:19, 16:19, 16:19] = False
    mask[35, 2:38, 2:38] = True  # a sheet
    found = largest_component(mask, GRID, opening_mm=8.0)
    assert found is not None
    assert found[8:28, 8:28, 8:28].all()
    assert not found[35].any()
    assert largest_component(np.zeros(GRID.shape, bool), GRID, 8.0) is None


def test_a_mask_is_spread_over_all_of_a_finer_grid() -> None:
    fine = Grid.from_parts((80, 80, 80), (2.0, 2.0, 2.0), (-1, -1, -1))
    assert np.allclose(onto(np.ones(GRID.shape, bool), GRID, fine), 1)
