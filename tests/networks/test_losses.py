import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.losses import grid_point_error, inverse_consistency, lattice_points, mse, parameter_error  # noqa: E402
from stnreg.networks.spatial_transformer import identity_theta, invert_theta, warp  # noqa: E402


def test_shrinking_to_a_point_does_not_pay():
    fixed = torch.zeros(1, 1, 16, 16, 16)
    fixed[..., 4:12, 4:12, 4:12] = 1.0
    moving = fixed.roll(2, dims=-1)
    # Everything outside the moving image's cube: an overlap-only mean would be perfect there.
    gone = torch.eye(3, 4)[None] * 8.0
    assert mse(warp(moving, gone), fixed) > mse(moving, fixed)


def test_grid_point_error_of_a_shift_is_its_length():
    shifted = identity_theta(1).clone()
    shifted[0, :, 3] = torch.tensor([0.3, 0.0, 0.4])
    assert float(grid_point_error(shifted, identity_theta(1), lattice_points())) == pytest.approx(0.5, abs=1e-5)


def test_a_map_and_its_inverse_are_consistent():
    theta = identity_theta(2) + 0.1 * torch.randn((2, 3, 4), generator=torch.Generator().manual_seed(3))
    points = lattice_points(3)
    assert float(inverse_consistency(theta, invert_theta(theta), points).max()) < 1e-4
    assert float(inverse_consistency(theta, theta, points).min()) > 1e-2


def test_no_error_has_a_finite_slope():
    theta = identity_theta(1).clone().requires_grad_()
    grid_point_error(theta, identity_theta(1), lattice_points()).sum().backward()
    assert torch.isfinite(theta.grad).all()


def test_the_parameter_error_is_a_mean_of_squares():
    truth = torch.eye(3, 4)[None]
    theta = truth.clone()
    theta[0, 0, 3] = 0.6
    assert parameter_error(theta, truth).item() == pytest.approx(0.36 / 12)
