import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.refine.object_level import object_levels, radius, sample_object
from stnreg.registration.refine.region import Region


def ball(radius_mm, grid):
    index = np.indices(grid.shape)[::-1].reshape(3, -1).T
    points = index @ grid.index_to_lps[:3, :3].T + grid.index_to_lps[:3, 3]
    return (100.0 * (np.linalg.norm(points, axis=1) <= radius_mm)).astype(np.float32).reshape(grid.shape)


GRID = Grid.cube((0, 0, 0), 80, 2.0)


def test_the_outline_is_the_share_of_a_voxel_that_the_object_fills():
    fine, coarse = object_levels((ball(40, GRID), GRID), [2.0, 8.0], Region())
    assert set(np.unique(fine.outline)) == {0.0, 1.0}
    volume = [float(level.outline.sum()) * np.prod(level.grid.spacing) for level in (fine, coarse)]
    assert volume[1] == pytest.approx(volume[0], rel=1e-3)
    assert volume[0] == pytest.approx(4 / 3 * np.pi * 40**3, rel=0.02)


def test_samples_lie_in_the_box_around_the_object():
    level = object_levels((ball(20, GRID), GRID), [2.0], Region())[0]
    drawn = sample_object(level, 5_000).samples
    away = np.abs(drawn.points + drawn.center[:, None].astype(np.float32))
    assert away.max() <= 20 + 30 + 4
    assert 0 < drawn.outlines.mean() < 0.5


def test_what_is_excluded_is_neither_sampled_nor_compared_with():
    left = np.zeros(GRID.shape, np.bool_)
    left[:, :, 40:] = True
    level = object_levels((ball(40, GRID), GRID), [2.0], Region(exclude=(left, GRID)))[0]
    assert np.isnan(level.values[:, :, 42:]).all()
    assert np.isfinite(level.values[:, :, :38]).all()
    masked = object_levels((ball(40, GRID), GRID), [2.0], Region(mask=(left, GRID)))[0]
    assert np.isnan(masked.values[:, :, :38]).all()


def test_the_radius_is_that_of_the_object_whatever_its_intensities():
    image = ball(40, GRID)
    assert radius(image, GRID) == pytest.approx(40 * np.sqrt(3 / 5), rel=0.03)
    assert radius(image * -5 + 500 - 4 * image, GRID) > 60  # dark on bright: the field of view is the object
    assert radius(image * 0.01 - 1000, GRID) == pytest.approx(radius(image, GRID))
