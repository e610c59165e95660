"""The smallest determinants of tetrahedra, everywhere and anew in places."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.transforms import tetrahedra
from stnreg.transforms.tetrahedra import (
    SURE,
    grown,
    inverted,
    largest_row_bound,
    row_bound,
    smallest,
    smallest_again,
)

SHAPE = (7, 9, 8)


@pytest.mark.parametrize("much", [0.0, 0.2, 1.0])
@given(seed=st.integers(0, 10_000), size=st.integers(1, 5))
@settings(max_examples=20)
def test_what_changed_in_places_is_as_if_computed_everywhere(much, seed, size):
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.4, (3, *SHAPE)).astype(np.float32)
    where = np.zeros(SHAPE, bool)
    where[tuple(slice(c, c + size) for c in rng.integers(0, SHAPE))] = True
    changed = np.where(where, rng.normal(0, 0.4, (3, *SHAPE)), steps).astype(np.float32)
    with patch.object(tetrahedra, "MUCH", much):
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


@pytest.mark.parametrize("draw", [np.sign, np.sinh], ids=["at the bound", "any"])
def test_what_is_not_looked_at_cannot_fold(draw):
    rng = np.random.default_rng(0)
    for _ in range(3000):
        steps = draw(rng.normal(0, 1.5, (3, 2, 2, 2))).astype(np.float32)
        bound = float(row_bound(steps)[0, 0, 0])
        steps *= np.float32(rng.uniform(0.9, 1.0)) * SURE / np.float32(bound)
        assert smallest(steps)[0, 0, 0] > 0


def test_few_cells_of_a_smooth_map_are_looked_at():
    # Shear and stretch that vary slowly: each edge differs from the identity's by up to 0.4.
    z, y, x = np.indices((12, 12, 12)).astype(np.float32)
    steps = np.stack([0.2 * y + 0.01 * x * z, 0.2 * z - 0.005 * y * y, 0.2 * x + 0.01 * y * z])
    assert row_bound(steps).max() < SURE


@pytest.mark.parametrize("voxels", [1, 200, 1 << 15])
def test_the_largest_bound_is_that_of_all_cells(voxels, monkeypatch):
    monkeypatch.setattr(tetrahedra, "BOUND_VOXELS", voxels)
    steps = np.random.default_rng(0).normal(0, 0.4, (3, *SHAPE)).astype(np.float32)
    assert largest_row_bound(steps) == row_bound(steps).max()
    assert largest_row_bound(steps[:, :1]) == 0


def test_the_largest_bound_of_some_voxels_is_that_of_the_cells_around_them():
    steps = np.random.default_rng(1).normal(0, 0.4, (3, *SHAPE)).astype(np.float32)
    where = np.zeros(SHAPE, bool)
    where[3, 4, 5] = where[6, 8, 7] = True
    bound = row_bound(steps)
    assert largest_row_bound(steps, where) == max(bound[2:4, 3:5, 4:6].max(), bound[5, 7, 6])
    assert largest_row_bound(steps, np.zeros(SHAPE, bool)) == 0
