import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.registration.series.skull import SkullScale, relative_scales
from stnreg.registration.series.template import average, gains, template_grid

GRID = Grid.cube((0, 0, 0), 32, 4.0)


def test_the_grid_holds_every_head(visits):
    volumes, maps = visits
    grid = template_grid([(v.array, v.grid) for v in volumes], maps)
    assert np.allclose(grid.spacing, 2.1)
    for volume, to_visit in zip(volumes, maps, strict=True):
        bright = np.argwhere(volume.array > np.percentile(volume.array, 99.9))[:, ::-1].astype(float)
        inside = apply_affine(grid.lps_to_index @ invert(to_visit) @ volume.grid.index_to_lps, bright)
        assert (inside > 0).all()
        assert (inside < np.array(grid.size) - 1).all()


def test_gains_give_one_brightness():
    brain = np.ones((4, 4, 4), bool)
    found = gains([np.full((4, 4, 4), 100.0), np.full((4, 4, 4), 400.0)], brain)
    assert found == pytest.approx([2.0, 0.5])


def test_an_average_is_of_those_that_show_a_voxel():
    a, b, c = np.full((2, 2, 2), 1.0), np.full((2, 2, 2), 5.0), np.full((2, 2, 2), 3.0)
    a[0, 0, 0] = b[0, 0, 0] = np.nan
    found = average([a, b, c], "median")
    assert found[0, 0, 0] == 3.0
    assert found[1, 1, 1] == 3.0
    assert average([a, b], "mean")[0, 0, 0] == 0.0


def test_what_all_skulls_share_is_no_scale():
    found = relative_scales([SkullScale(0.010, 0.001), SkullScale(-0.004, 0.001)])
    assert [one.log_volume for one in found] == pytest.approx([0.0035, -0.0035])
    assert relative_scales([SkullScale(0.01, 0.001), None]) == []
