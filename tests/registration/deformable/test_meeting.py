"""Both heads are moved halfway, and only around their brains."""

from dataclasses import replace

import numpy as np

from stnreg.registration.deformable.appearance import Appearance, AsT1
from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.meeting import Surroundings, meet
from stnreg.transforms.velocity import VelocityField

BOX = box((40, 44, 42), 2.0)


def ball(center_voxels, radius=6):
    offsets = np.stack(np.indices(BOX.shape)) - np.array(center_voxels).reshape(3, 1, 1, 1)
    return np.linalg.norm(offsets, axis=0) < radius


def head(center_voxels):
    brain = ball(center_voxels)
    return Appearance(brain.astype(np.float32), brain, np.zeros(BOX.shape, bool))


def middle(head):
    return np.argwhere(head.brain).mean(0)


def test_two_balls_meet_in_the_middle():
    fixed, moving = head((20, 22, 20)), head((20, 22, 24))
    region = Surroundings.of(fixed.brain | moving.brain, BOX)
    shift = np.zeros((3, *region.grid.shape), np.float32)
    shift[0] = 8.0  # mm along x: four voxels
    a, b = meet(fixed, moving, VelocityField(region.faded(shift), region.grid), region, threads=1)
    assert np.abs(middle(a) - (20, 22, 22)).max() < 0.3
    assert np.abs(middle(b) - (20, 22, 22)).max() < 0.3
    two = meet(fixed, moving, VelocityField(region.faded(shift), region.grid), region, threads=2)
    assert all(np.array_equal(x.image, y.image) for x, y in zip((a, b), two, strict=True))


def test_what_a_head_looks_like_in_t1_moves_with_it():
    fixed, moving = (
        replace(one, in_t1=AsT1(2 * one.image, 0.5 * one.image)) for one in (head((20, 22, 20)), head((20, 22, 24)))
    )
    region = Surroundings.of(fixed.brain | moving.brain, BOX)
    shift = np.zeros((3, *region.grid.shape), np.float32)
    shift[0] = 8.0
    for one in meet(fixed, moving, VelocityField(region.faded(shift), region.grid), region, threads=1):
        assert np.allclose(one.in_t1.image, 2 * one.image, atol=1e-6)
        assert np.allclose(one.in_t1.certainty, 0.5 * one.image, atol=1e-6)


def test_the_region_holds_both_brains_and_fades_at_its_border():
    brains = ball((20, 22, 20)) | ball((20, 22, 24))
    region = Surroundings.of(brains, BOX)
    assert region.cut(brains).sum() == brains.sum()
    faded = region.faded(np.ones((3, *region.grid.shape), np.float32))
    assert (faded[:, region.cut(brains)] == 1).all()
    assert not faded[:, 0].any()
    assert not faded[..., -1].any()
    low = np.array([s.start for s in region.part[::-1]], float)
    assert np.allclose(region.grid.index_to_lps[:3, 3], (BOX.index_to_lps @ [*low, 1])[:3])
    assert Surroundings.of(np.zeros(BOX.shape, bool), BOX).grid == BOX
