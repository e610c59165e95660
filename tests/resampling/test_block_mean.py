"""Blocks are the same blocks whichever way an image is stored."""

import itertools

import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import closest_canonical
from stnreg.resampling.block_mean import BlockMeans, block_mean

GRID = Grid.from_parts(
    (13, 10, 11), (0.9, 1.1, 1.4), (-7, 3, 12), np.linalg.qr(np.eye(3) + 0.1)[0] @ np.diag([-1, -1, 1])
)
ARRAY = np.random.default_rng(4).normal(size=GRID.shape).astype(np.float32)


def stored(order, signs):
    """The same voxels with axes permuted and flipped."""
    array = np.transpose(ARRAY, [2 - order[2 - axis] for axis in range(3)])
    array = array[tuple(slice(None, None, signs[2 - axis]) for axis in range(3))]
    new_to_old = np.zeros((4, 4))
    new_to_old[3, 3] = 1
    for new, old in enumerate(order):
        new_to_old[old, new] = signs[new]
        new_to_old[old, 3] = 0 if signs[new] > 0 else GRID.size[old] - 1
    return np.ascontiguousarray(array), Grid(array.shape[::-1], GRID.index_to_lps @ new_to_old)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_the_order_of_storage_does_not_choose_the_blocks(order, signs):
    expected, expected_grid = closest_canonical(*block_mean(ARRAY, GRID, 3.0))
    found, found_grid = closest_canonical(*block_mean(*stored(order, signs), 3.0))
    assert np.abs(found_grid.index_to_lps - expected_grid.index_to_lps).max() < 1e-9
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_mean_lies_in_the_middle_of_its_block():
    axis = np.arange(GRID.size[0], dtype=np.float32)
    means, grid = block_mean(np.broadcast_to(axis, GRID.shape), GRID, 3.0)
    centers = apply_affine(GRID.lps_to_index @ grid.index_to_lps, np.array([[0.0, 0, 0], [1, 0, 0]]))
    assert means[0, 0, :2] == pytest.approx(centers[:, 0])


def test_shared_means_are_those_of_each_size():
    means = BlockMeans(ARRAY, GRID)
    for spacing_mm in (2.0, 4.0, 3.0):
        expected, expected_grid = block_mean(ARRAY, GRID, spacing_mm)
        found, found_grid = means.at(spacing_mm)
        assert np.array_equal(found, expected)
        assert found_grid == expected_grid
        assert means.at(spacing_mm)[0] is found
