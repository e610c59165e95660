import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.geometry.grid import Grid  # noqa: E402
from stnreg.geometry.theta import theta_from_affine  # noqa: E402
from stnreg.networks.spatial_transformer import (  # noqa: E402
    compose_theta,
    homogeneous,
    identity_theta,
    invert_theta,
    transform_points,
    warp,
)


def random_theta(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return identity_theta(count) + 0.2 * torch.randn((count, 3, 4), generator=generator)


def test_identity_moves_nothing():
    image = torch.rand(2, 1, 6, 7, 8)
    assert torch.allclose(warp(image, identity_theta(2)), image, atol=1e-5)


def test_a_move_of_whole_voxels_pulls_from_the_right_place():
    grid = Grid.cube((0.0, 0.0, 0.0), 8, 2.0)
    move = np.eye(4)
    move[:3, 3] = (2.0, 4.0, -6.0)  # one, two, minus three voxels along x, y, z
    theta = torch.from_numpy(theta_from_affine(move, grid, grid))[None]
    image = torch.rand(1, 1, 8, 8, 8)
    moved = warp(image, theta)
    assert torch.allclose(moved[0, 0, 4, 3, 2], image[0, 0, 4 - 3, 3 + 2, 2 + 1], atol=1e-5)


def test_another_size_samples_the_same_cube():
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32, 32)
    coarse = warp(ramp, identity_theta(1), size=16)
    assert coarse.shape == (1, 1, 16, 16, 16)
    pairs = ramp.reshape(1, 1, 32, 32, 16, 2).mean(-1)[:, :, ::2, ::2]
    assert torch.allclose(coarse, pairs, atol=1e-5)


def test_float32_inside_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        moved = warp(torch.rand(1, 1, 4, 4, 4), random_theta(1))
        composed = compose_theta(random_theta(1), random_theta(1, seed=1))
    assert moved.dtype == composed.dtype == torch.float32


def test_composition_is_that_of_points_and_inverse_undoes():
    a, b = random_theta(seed=1), random_theta(seed=2)
    points = torch.rand(3, 5, 3)
    together = transform_points(compose_theta(a, b), points)
    assert torch.allclose(together, transform_points(a, transform_points(b, points)), atol=1e-5)
    assert torch.allclose(homogeneous(compose_theta(invert_theta(a), a)), torch.eye(4).expand(3, 4, 4), atol=1e-4)
