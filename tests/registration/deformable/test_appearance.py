"""What the network is shown of a head: normalised, cut to its brain, and nothing of what is excluded."""

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.appearance import CLIP, appearance, filled, grown
from stnreg.registration.deformable.frame import box
from stnreg.registration.refine.region import Region

GRID = Grid.cube(np.zeros(3), 48, 2.0)
BOX = box((20, 24, 20), 4.0)


@pytest.fixture
def head():
    """Waves in a ball of 40 mm, and where a lesion of 12 mm lies."""
    z, y, x = (axis * 2.0 - 47 for axis in np.indices(GRID.shape))
    brain = (x**2 + y**2 + z**2 < 40**2).astype(np.float32)
    image = (100 + 40 * np.sin(x / 9) * np.cos(y / 7) + z) * brain
    lesion = ((x - 12) ** 2 + y**2 + z**2 < 12**2).astype(np.uint8)
    return image.astype(np.float32), brain, lesion


def seen(image, brain, exclude=None, mask=None):
    region = Region((brain, GRID), None if mask is None else (mask, GRID), None if exclude is None else (exclude, GRID))
    return appearance((image, GRID), region, np.eye(4), BOX, 1)


def test_intensities_are_those_of_the_brain(head):
    image, brain, _ = head
    found = seen(image, brain)
    low, high = np.percentile(found.image[found.brain], (1, 99))
    assert abs(low) < 0.01
    assert abs(high - 1) < 0.01
    assert found.image.min() >= CLIP[0]
    assert found.image.max() <= CLIP[1]
    assert not found.image[~grown(found.brain, 4)].any()
    assert np.allclose(seen(5 * image + 300, brain).image, found.image, atol=1e-3)


def test_what_is_excluded_is_not_seen(head):
    image, brain, lesion = head
    first = seen(image, brain, lesion)
    assert first.excluded.any()
    core = lesion.astype(bool)
    for inside in (0.0, 1e4, np.random.default_rng(0).normal(0, 500, int(core.sum()))):
        other = image.copy()
        other[core] = inside
        found = seen(other, brain, lesion)
        beyond = ~grown(first.excluded, 1)  # a voxel of the box is a mean over those that the lesion touches
        assert np.allclose(found.image[beyond], first.image[beyond], atol=1e-4)
        assert np.allclose(found.image, first.image, atol=1e-4)
    assert np.abs(seen(other, brain).image - seen(image, brain).image).max() > 0.3


def test_a_mask_stands_in_for_the_brain(head):
    image, brain, _ = head
    half = brain.copy()
    half[:, :, :24] = 0
    found = seen(image, brain, mask=half)
    assert found.brain.sum() == pytest.approx(seen(image, brain).brain.sum() / 2, rel=0.1)


def test_all_excluded_is_nothing():
    everything = np.ones(GRID.shape, np.uint8)
    found = seen(np.ones(GRID.shape, np.float32), everything.astype(np.float32), everything)
    assert not found.image.any()


def test_filled_is_between_what_surrounds_it():
    values = np.linspace(0, 1, 20, dtype=np.float32)[None, None, None, :].repeat(20, 1).repeat(20, 2)
    known = np.ones((20, 20, 20), bool)
    known[6:14, 6:14, 8:12] = False
    found = filled(values, known)
    assert np.array_equal(found[:, known], values[:, known])
    assert np.abs(found - values)[:, ~known].max() < 0.2
