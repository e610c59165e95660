import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.registration.refine.pyramid import build_levels, finest_levels, with_checkerboard_brain
from stnreg.registration.refine.region import Region

EYE = np.eye(4)


def test_levels_are_normalised_inside_the_brain(head):
    brain = head.brain(EYE)
    levels = build_levels(head.scan(EYE), (8.0, 4.0), Region(brain))
    assert len(levels) == 2
    for level in levels:
        centre = level.values[tuple(slice(n // 3, -(n // 3)) for n in level.values.shape)]
        assert abs(centre.mean()) < 0.15
        assert 0.6 < centre.std() < 1.3


def test_gain_and_offset_do_not_matter(head):
    image, grid = head.scan(EYE)
    region = Region(head.brain(EYE))
    plain, changed = (build_levels((values, grid), (4.0,), region)[0] for values in (image, 300 * image + 50))
    within = plain.share > 0.5
    assert np.abs(plain.values - changed.values)[within].max() < 0.06  # but for the floor of the deviation


def test_the_finest_level_agrees_with_one_normalised_beforehand(head):
    image = head.scan(EYE)
    region = Region(head.brain(EYE))
    fine, built = finest_levels(image, 1.0, [region])[0], build_levels(image, (3.0,), region)[0]
    points = head.points().T.astype(np.float32)[:, :300] * 0.8
    values, gradient = fine.values_and_gradient_at(points, EYE)
    np.testing.assert_array_equal(values, fine.values_at(points, EYE))
    assert np.corrcoef(values, built.values_at(points, EYE))[0, 1] > 0.98
    ahead = fine.values_at(points + np.float32([[0.05], [0], [0]]), EYE)
    assert np.median(np.abs((ahead - values) / 0.05 - gradient[0])) < 0.03  # the window moves along


def test_excluded_voxels_are_not_used(head):
    image, grid = head.scan(EYE)
    exclude = np.zeros(grid.shape, np.uint8)
    exclude[:, :, :34] = 1
    region = Region(head.brain(EYE), exclude=(exclude, grid))
    points = np.float32([[-20, 20], [0, 0], [0, 0]])
    levels = *build_levels((image, grid), (8.0, 4.0), region), *finest_levels((image, grid), 1.0, [region])
    assert len(levels) == 3
    for level in levels:
        np.testing.assert_array_equal(np.isnan(level.values_at(points, EYE)), [True, False])


def test_the_brain_is_sampled_at_half_density_with_its_surroundings_only(head):
    brain = Region(head.brain(EYE))
    (level,) = finest_levels(head.scan(EYE), 1.0, [brain.with_surroundings()])
    (own,) = finest_levels(head.scan(EYE), 1.0, [brain])
    around, thinned = level.share > 0.5, with_checkerboard_brain(level, brain).share > 0.5
    assert 0.48 < (around & ~thinned).sum() / (own.share > 0.5).sum() < 0.52
    assert (around & ~thinned).sum() < around.sum() / 2
    masked = Region(brain.brain, mask=brain.brain)
    assert with_checkerboard_brain(own, masked) is own


def test_an_array_off_its_grid_is_refused():
    with pytest.raises(DataError, match="on its grid"):
        build_levels((np.zeros((4, 4, 5)), Grid.cube((0, 0, 0), 4, 1.0)), (2.0,), Region())
