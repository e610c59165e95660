"""A velocity that folds is smoothed until it does not, both ways; a mild one is left as it is."""

import numpy as np
import pytest

from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.unfold import LEAST_DETERMINANT, blocks, unfolded
from stnreg.registration.deformable.velocity import lattice_of, prepared, smoothed, velocity_field
from stnreg.transforms.jacobian import smallest_determinant

GRID = box((24, 32, 24), 2.0)
SHAPE = lattice_of(GRID).shape


def random_coefficients(size_mm, seed=0):
    noise = np.random.default_rng(seed).standard_normal((3, *SHAPE)).astype(np.float32)
    noise = smoothed(noise, 1.0)
    return prepared(noise * np.float32(size_mm / noise.std()), np.zeros(SHAPE, bool), 0.0, 4.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_strong_velocity_is_left_without_folds(seed):
    strong = random_coefficients(12.0, seed)
    before = velocity_field(strong, GRID).exponential().count_folds()
    assert before.digital > 50
    for one in unfolded(strong, GRID):
        folds = one.exponential().count_folds()
        assert (folds.central, folds.digital) == (0, 0)
        assert smallest_determinant(one.exponential().vectors, GRID).min() >= LEAST_DETERMINANT


def test_a_mild_velocity_is_left_untouched():
    mild = random_coefficients(1.0)
    velocity, inverse = unfolded(mild, GRID)
    assert np.array_equal(velocity.vectors, velocity_field(mild, GRID).vectors)
    assert np.array_equal(inverse.vectors, -velocity.vectors)


def test_exchanged_images_change_the_sign_and_threads_change_nothing():
    strong = random_coefficients(8.0)
    velocity, inverse = unfolded(strong, GRID, threads=1)
    assert np.array_equal(unfolded(-strong, GRID)[0].vectors, inverse.vectors)
    assert np.array_equal(unfolded(strong, GRID, threads=2)[0].vectors, velocity.vectors)


def test_blocks_have_any_of_their_voxels():
    mask = np.zeros((4, 4, 6), bool)
    mask[1, 2, 5] = True
    assert np.argwhere(blocks(mask)).tolist() == [[0, 1, 2]]
