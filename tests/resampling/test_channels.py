import numpy as np

from stnreg.resampling.channels import sample_maps, sample_maps_with_gradient

MAPS = np.random.default_rng(0).random((3, 5, 6, 7), np.float32)  # (K, D, H, W)


def test_sampling_maps_outside_gives_background():
    maps = np.zeros((2, 3, 3, 3), np.float32)
    maps[1] = 1
    out = sample_maps(maps, np.array([[1.0, 1.0, 1.0], [-2.0, 0.0, 0.0], [1.0, 2.5, 1.0]]))
    assert out[:, 0].tolist() == [0, 1]
    assert out[:, 1].tolist() == out[:, 2].tolist() == [1, 0]


def test_values_at_voxels_are_the_voxels():
    index = np.array([[0, 0, 0], [6, 5, 4], [2, 3, 1]])
    values, _, inside = sample_maps_with_gradient(MAPS, index.astype(float))
    assert inside.all()
    assert np.allclose(values, [MAPS[:, z, y, x] for x, y, z in index])
    assert np.allclose(sample_maps(MAPS, index.astype(float)).T, values)


def test_the_gradient_is_that_of_the_values():
    index = np.random.default_rng(1).uniform([0.1, 0.1, 0.1], [5.9, 4.9, 3.9], (40, 3))
    index += np.where(np.abs(index - np.round(index)) < 0.05, 0.1, 0.0)  # at a voxel the slope has two values
    _, gradient, _ = sample_maps_with_gradient(MAPS, index)
    for axis in range(3):
        step = 0.01 * np.eye(3)[axis]
        slope = (sample_maps(MAPS, index + step) - sample_maps(MAPS, index - step)).T / 0.02
        assert np.allclose(gradient[axis], slope, atol=1e-3)


def test_points_outside_the_maps_are_marked():
    assert sample_maps_with_gradient(MAPS, np.array([[6.5, 1, 1], [1, -0.1, 1], [1, 1, 1]], float))[2].tolist() == [
        False,
        False,
        True,
    ]
