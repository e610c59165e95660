import numpy as np

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.registration.refine.region import HEAD_MM, Region, at_voxels, box_mean, crop, share_on

RNG = np.random.default_rng(0)


def test_box_mean_is_the_mean_of_the_box():
    values = RNG.standard_normal((7, 8, 9)).astype(np.float32)
    found = box_mean(values, [1, 2, 3])
    for z, y, x in ((0, 0, 0), (3, 4, 5), (6, 7, 8)):
        box = values[max(z - 1, 0) : z + 2, max(y - 2, 0) : y + 3, max(x - 3, 0) : x + 4]
        np.testing.assert_allclose(found[z, y, x], box.mean(), atol=1e-5)


def test_at_voxels_follows_the_grids():
    own = Grid.from_parts((10, 11, 12), (2, 2.5, 3), (5, -4, 3))
    z, y, x = np.indices(own.shape)
    places = apply_affine(own.index_to_lps, np.stack([x, y, z], -1))
    other = Grid.cube(own.center_lps, 4, 1.5)
    index = np.indices(other.shape)[::-1].reshape(3, -1).T
    expected = apply_affine(other.index_to_lps, index)[:, 1].reshape(other.shape)
    np.testing.assert_allclose(at_voxels((places[..., 1], own), other), expected, atol=1e-4)


def test_a_mask_replaces_the_brain_map_and_excluded_voxels_are_not_used():
    grid = Grid.cube((0, 0, 0), 20, 4.0)
    brain, mask, exclude = (np.zeros(grid.shape, np.float32) for _ in range(3))
    brain[5:15], mask[8:12], exclude[9] = 1, 1, 1
    means = np.ones(grid.shape, np.float32)
    share = share_on(Region((brain, grid), exclude=(exclude, grid)), means, grid)
    assert (share[10] == 1).all()
    assert (share[2] == 0).all()
    assert np.isnan(share[9]).all()
    share = share_on(Region((brain, grid), (mask, grid), (exclude, grid)), means, grid)
    assert (share[10] == 1).all()
    assert np.isnan(share[6]).all()
    assert np.isnan(share[9]).all()


def test_without_a_region_the_foreground_is_used():
    grid = Grid.cube((0, 0, 0), 20, 4.0)
    means = np.zeros(grid.shape, np.float32)
    means[5:15] = 100
    np.testing.assert_array_equal(share_on(Region(), means, grid), means / 100)


def test_crop_keeps_the_region_in_place(head):
    image, grid = head.scan(np.eye(4))
    part, part_grid = crop(image, grid, Region(head.brain(np.eye(4))))
    assert part.size < image.size
    x, y, z = np.round(apply_affine(grid.lps_to_index @ part_grid.index_to_lps, (3, 4, 5))).astype(int)
    assert part[5, 4, 3] == image[z, y, x]


def test_surroundings_reach_around_the_brain(head):
    brain, grid = head.brain(np.eye(4))
    grown, grown_grid = Region((brain, grid)).with_surroundings().brain
    line = Grid.from_parts((120, 1, 1), (1, 1, 1), (0, 0, 0))
    ends_mm = [np.flatnonzero(at_voxels(map_, line)[0, 0] > 0.5).max() for map_ in ((brain, grid), (grown, grown_grid))]
    assert HEAD_MM - 3 < ends_mm[1] - ends_mm[0] < HEAD_MM + 5
