import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.resampling.trilinear import interpolate, interpolate_with_gradient


def naive(values, point):
    low = [min(max(int(np.floor(c)), 0), max(n - 2, 0)) for c, n in zip(point, values.shape[::-1], strict=True)]
    total = 0.0
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                weight, place = 1.0, []
                for c, first, d, n in zip(point, low, (dx, dy, dz), values.shape[::-1], strict=True):
                    weight *= (c - first) if d else 1 - (c - first)
                    place.append(min(first + d, n - 1))
                total += weight * values[place[2], place[1], place[0]]
    return total


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 6)] * 3))
def test_agrees_with_eight_weighted_neighbours(seed, shape):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape).astype(np.float32)
    points = rng.uniform(0, 1, (5, 3)) * (np.array(shape[::-1]) - 1)
    found = interpolate(values, points.T.astype(np.float32))
    np.testing.assert_allclose(found, [naive(values, p) for p in points], atol=2e-5)


def test_outside_and_next_to_nothing_is_nan():
    values = np.ones((3, 4, 5), np.float32)
    values[1, 1, 1] = np.nan
    index = np.array([[4.0, 4.1, -0.1, 0.5], [3.0, 3.0, 0.0, 0.5], [2.0, 2.0, 0.0, 0.5]], np.float32)
    np.testing.assert_array_equal(np.isnan(interpolate(values, index)), [False, True, True, True])


def test_whole_numbers_do_not_wrap():
    values = np.array([[[200, 10]]], np.uint8)
    assert interpolate(values, np.array([[0.5], [0], [0]], np.float32))[0] == 105


def test_gradient_is_the_difference_quotient():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((6, 7, 8)).astype(np.float32)
    index = (np.floor(rng.uniform(0, 1, (3, 50)) * np.array([[6], [5], [4]])) + rng.uniform(0.2, 0.7, (3, 50))).astype(
        np.float32
    )
    found, gradient = interpolate_with_gradient(values, index)
    np.testing.assert_array_equal(found, interpolate(values, index))
    for axis in range(3):
        ahead = index.copy()
        ahead[axis] += 0.1
        np.testing.assert_allclose((interpolate(values, ahead) - found) / 0.1, gradient[axis], atol=2e-4)
