import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.geometry.affine import Parameters, from_parameters  # noqa: E402
from stnreg.geometry.grid import Grid  # noqa: E402
from stnreg.geometry.theta import affine_from_theta  # noqa: E402
from stnreg.networks.parameters import (  # noqa: E402
    ORDER,
    RAW_COUNT,
    Bounds,
    affine_theta,
    carry_raw,
    parameters_of_theta,
    separate_theta,
    theta_from_parts,
)

SMALL = st.floats(-1, 1, allow_subnormal=False)
TRIPLE = st.tuples(SMALL, SMALL, SMALL)


def test_raw_zeros_are_the_identity_in_both_heads():
    raw = torch.zeros(2, RAW_COUNT)
    identity = torch.eye(3, 4).expand(2, 3, 4)
    assert torch.equal(affine_theta(raw), identity)
    assert torch.equal(separate_theta(raw, Bounds()), identity)


@given(shear=TRIPLE, scale=TRIPLE, rotation=TRIPLE, translation=TRIPLE)
@settings(deadline=None, max_examples=30)
def test_parts_mean_what_the_geometry_says_they_mean(shear, scale, rotation, translation):
    cube = Grid.cube((5.0, -7.0, 11.0), 64, 4.0)
    half_edge_mm = 128.0
    theta = theta_from_parts(
        shear=torch.tensor([shear]),
        scale=torch.exp(torch.tensor([scale])),
        rotation_rad=torch.tensor([rotation]),
        translation=torch.tensor([translation]),
    )
    expected = from_parameters(
        Parameters(
            translation_mm=tuple(half_edge_mm * np.array(translation)),
            rotation_deg=tuple(np.degrees(rotation)),
            scale=tuple(np.exp(scale)),
            shear=shear,
        ),
        cube.center_lps,
    )
    assert np.allclose(affine_from_theta(theta[0].numpy(), cube, cube), expected, atol=2e-4)


@given(raw=st.lists(st.floats(-50, 50, allow_subnormal=False), min_size=RAW_COUNT, max_size=RAW_COUNT))
@settings(deadline=None, max_examples=30)
def test_no_raw_numbers_collapse_the_image(raw):
    bounds = Bounds(scale=1.6)
    theta = separate_theta(torch.tensor([raw]), bounds)
    assert torch.isfinite(theta).all()
    assert float(torch.det(theta[0, :, :3])) >= 1.6**-3 - 1e-4


def test_only_the_named_transformations_are_used_in_their_order():
    raw = torch.full((1, RAW_COUNT), 0.5)
    moved_only = separate_theta(raw, Bounds(), ("translation",))
    assert torch.equal(moved_only[0, :, :3], torch.eye(3))
    usual = separate_theta(raw, Bounds(), ("rotation", "translation"))
    other = separate_theta(raw, Bounds(), ("translation", "rotation"))
    assert torch.equal(usual[0, :, :3], other[0, :, :3])
    assert not torch.allclose(usual[0, :, 3], other[0, :, 3])


def test_one_head_carries_on_where_the_other_was():
    separate, affine = ("separate", Bounds(), ORDER), ("affine", Bounds(), ORDER)
    raw = 0.002 * torch.randn(3, RAW_COUNT, generator=torch.Generator().manual_seed(0))
    carried = raw @ carry_raw(separate, affine).T
    assert torch.allclose(affine_theta(carried), separate_theta(raw, Bounds()), atol=5e-5)
    assert torch.allclose(carried @ carry_raw(affine, separate).T, raw, atol=1e-5)


def test_parameters_come_back_from_the_map_they_made():
    generator = torch.Generator().manual_seed(0)

    def draw(reach):
        return (torch.rand((50, 3), generator=generator) * 2 - 1) * reach

    shear, log_scale, rotation_rad, translation = draw(0.3), draw(0.4), draw(1.4), draw(0.5)
    theta = theta_from_parts(
        shear=shear, scale=torch.exp(log_scale), rotation_rad=rotation_rad, translation=translation
    )
    expected = torch.cat([shear, log_scale, rotation_rad, translation], dim=1)
    assert torch.allclose(parameters_of_theta(theta), expected, atol=2e-5)


def test_parameters_have_a_slope_at_the_identity():
    theta = torch.eye(3, 4)[None].clone().requires_grad_()
    assert torch.equal(parameters_of_theta(theta).detach(), torch.zeros(1, 12))
    parameters_of_theta(theta).sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert (theta.grad != 0).sum() >= 9
