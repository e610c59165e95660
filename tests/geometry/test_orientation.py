"""Letters and reordering, against nibabel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import axis_codes, closest_canonical, lps_from_ras, swap_lps_ras


@given(st.from_type(Grid))
def test_letters_are_those_of_nibabel(grid: Grid) -> None:
    import nibabel

    assert axis_codes(grid) == "".join(nibabel.aff2axcodes(lps_from_ras(grid.index_to_lps)))


@given(st.from_type(Grid), st.randoms(use_true_random=False))
def test_reordering_moves_no_voxel(grid: Grid, random: np.random.Generator) -> None:
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    turned, upright = closest_canonical(array, grid)
    assert turned.shape == upright.shape
    assert axis_codes(upright) == "LPS"
    for _ in range(5):
        z, y, x = (random.randrange(count) for count in upright.shape)
        index = apply_affine(grid.lps_to_index @ upright.index_to_lps, (x, y, z))
        i, j, k = np.rint(index).astype(int)
        assert np.allclose(index, (i, j, k), atol=1e-6)
        assert turned[z, y, x] == array[k, j, i]


def test_named_grids_have_their_names(grids_by_name: dict[str, Grid]) -> None:
    for name in ("LPS", "RAS", "LIA"):
        assert axis_codes(grids_by_name[name]) == name


def test_a_map_keeps_its_points_in_the_other_world() -> None:
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 3
    assert np.allclose(swap_lps_ras(shift)[:3, 3], (-1, -2, 3))
