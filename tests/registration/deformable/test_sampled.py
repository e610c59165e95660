"""Block by block, a warp is what it is as a whole: sampled, searched for folds, and again after a change."""

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.deformable import sampled
from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.sampled import Part, SampledWarp, sample_where
from stnreg.registration.deformable.velocity import smoothed
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.jacobian import find_folds

BOX = box((20, 24, 22), 2.0)
TURN = np.array([[0.8, -0.6, 0, 3], [0.6, 0.8, 0, -2], [0, 0, 1, 5], [0, 0, 0, 1]])
IMAGE = Grid.cube(TURN[:3, 3], (60, 56, 50), 1.0)


def rough(where=(slice(6, 14), slice(7, 17), slice(6, 16)), seed=0):
    """A flow that is zero but for a part, and folds there."""
    vectors = np.zeros((3, *BOX.shape), np.float32)
    noise = smoothed(np.random.default_rng(seed).standard_normal(vectors.shape).astype(np.float32), 0.8)
    vectors[(slice(None), *where)] = 12 * noise[(slice(None), *where)]
    return vectors


def on_image(vectors, warp=None, where=None, threads=1):
    flow = DisplacementField(vectors, BOX)
    warp = warp or SampledWarp.zero(Part.covered(IMAGE, TURN, BOX), TURN)
    mask = (flow.vectors != 0).any(0) if where is None else where
    _, blocks = sample_where([warp], [flow], [mask], threads)
    for block in blocks:
        warp.find_folds(block)
    return warp, blocks


def whole(vectors):
    return DisplacementField(vectors, BOX).carried(TURN, Part.covered(IMAGE, TURN, BOX).grid)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sampled, "BLOCK_VOXELS", 9)


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_make_the_whole_warp_and_find_all_its_folds(threads):
    vectors = rough()
    warp, blocks = on_image(vectors, threads=threads)
    assert 0 < len(blocks) < 0.5 * len(list(sampled._blocks(warp.vectors.shape[1:])))
    expected = whole(vectors)
    assert np.abs(warp.field.vectors - expected.vectors).max() < 1e-5
    central, digital, _ = find_folds(expected.vectors, expected.grid)
    assert central.sum() > 10
    assert digital.sum() > 100
    assert np.array_equal(warp.central, central)
    assert np.array_equal(warp.digital, digital)


def test_where_a_flow_has_changed_a_warp_is_sampled_and_searched_again():
    before = rough()
    after = before.copy()
    after[:, 7:10, 8:11, 7:10] = 0
    warp, everywhere = on_image(before)
    warp, blocks = on_image(after, warp, (after != before).any(0))
    assert len(blocks) < len(everywhere)
    expected = whole(after)
    assert np.abs(warp.field.vectors - expected.vectors).max() < 1e-5
    assert np.array_equal(warp.digital, find_folds(expected.vectors, expected.grid)[1])
    assert not np.array_equal(warp.digital, on_image(before)[0].digital)


def test_beyond_its_grid_a_flow_has_the_nearest_value():
    vectors = np.zeros((3, *BOX.shape), np.float32)
    vectors[0, -1] = 2.5  # on one side of the box
    warp, _ = on_image(vectors)
    assert np.abs(warp.field.vectors - whole(vectors).vectors).max() < 1e-5


def test_an_image_beside_the_frame_has_no_warp():
    far = Grid.cube(np.array([500.0, 0, 0]), 10, 2.0)
    warp = SampledWarp.zero(Part.covered(far, np.eye(4), BOX), np.eye(4))
    assert warp.field is None
    assert warp.near(np.ones(BOX.shape, bool), BOX) == []
