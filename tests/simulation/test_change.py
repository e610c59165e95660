"""What happens to a brain between two visits, measured."""

import numpy as np

from stnreg.simulation.change import STEP, brain_loss, sample, smooth_change
from stnreg.simulation.tissues import brain_of, to_byte_codes


def test_the_brain_loses_what_is_said_and_the_skull_little(head_map):
    codes = to_byte_codes(head_map.array)
    change = brain_loss(codes, 0.04)
    shares = []
    for inside in (brain_of(codes), codes >= 200):
        soft = inside.astype(np.float32)
        after = sample(soft, head_map.grid, head_map.grid, np.eye(4), change)
        shares.append(after.sum() / soft.sum() - 1)
    assert -0.048 < shares[0] < -0.032
    assert abs(shares[1]) < 0.04


def test_smooth_change_has_no_affine_part_and_a_known_reach(head_map):
    codes = to_byte_codes(head_map.array)
    vectors = smooth_change(codes, 1.5, np.random.default_rng(0)).vectors
    brain = brain_of(codes[::STEP, ::STEP, ::STEP])
    points = np.c_[np.argwhere(brain), np.ones(brain.sum())]
    fit = np.linalg.lstsq(points, vectors[brain].astype(float), rcond=None)[0]
    assert np.abs(points @ fit).max() < 1e-3
    length = np.linalg.norm(vectors, axis=-1)
    assert np.isclose(length[brain].max(), 1.5, atol=1e-3)
    assert length.max() < 1.501


def test_the_displacement_acts_after_the_affine(head_map):
    """A displacement of whole voxels along x, and a shift of the grid: both by hand."""
    codes = to_byte_codes(head_map.array)
    change = brain_loss(codes, 0.0)
    change.vectors[..., 0] = 2.0
    shift = np.eye(4)
    shift[0, 3] = 4.0  # one voxel of 4 mm; x of the array runs to +L
    moved = sample(codes, head_map.grid, head_map.grid, shift, change, interp="nearest")
    assert np.array_equal(moved[:, :, 4:40], codes[:, :, 7:43])
