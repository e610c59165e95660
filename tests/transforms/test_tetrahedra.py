"""The smallest determinants of tetrahedra, everywhere and anew in places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.transforms.tetrahedra import SURE, grown, inverted, smallest, smallest_again

SHAPE = (7, 9, 8)


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=30)
def test_what_changed_in_places_is_as_if_computed_everywhere(seed, size):
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.4, (3, *SHAPE)).astype(np.float32)
    where = np.zeros(SHAPE, bool)
    where[tuple(slice(c, c + size) for c in rng.integers(0, SHAPE))] = True
    changed = np.where(where, rng.normal(0, 0.4, (3, *SHAPE)), steps).astype(np.float32)
    again = smallest_again(smallest(steps), changed, where)
    assert np.allclose(again, smallest(changed), atol=1e-5)


def test_the_identity_has_one_and_a_mirror_less_than_zero():
    steps = np.zeros((3, *SHAPE), np.float32)
    assert np.allclose(smallest(steps), 1)
    steps[0] = -2.2 * np.arange(SHAPE[2])
    assert smallest(steps).max() < 0


@pytest.mark.parametrize(("at", "count"), [((3, 4, 4), 27), ((0, 0, 0), 8), ((6, 4, 0), 12)])
def test_a_voxel_has_its_neighbours(at, count):
    mask = np.zeros(SHAPE, bool)
    mask[at] = True
    assert grown(mask).sum() == count


@given(st.integers(0, 10_000), st.floats(0.0, 0.6))
@settings(max_examples=30)
def test_inverted_ones_are_found_though_most_cells_are_not_looked_at(seed, spread):
    steps = np.random.default_rng(seed).normal(0, spread, (3, *SHAPE)).astype(np.float32)
    folded, sixths = inverted(steps)
    assert np.array_equal(folded, smallest(steps) <= 0)
    assert np.array_equal(sixths > 0, smallest(steps) < 0)


@given(st.integers(0, 10_000))
@settings(max_examples=200)
def test_what_is_not_looked_at_cannot_fold(seed):
    rng = np.random.default_rng(seed)
    edges = rng.choice([-1.0, 1.0], (3, 2, 2, 2)) * np.float32(SURE) / 2  # differences are at most SURE
    assert smallest(edges.astype(np.float32))[0, 0, 0] > 0
