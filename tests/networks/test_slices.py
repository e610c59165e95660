import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.slices import (  # noqa: E402
    SLICE_BODIES,
    SliceArchitecture,
    SliceNet,
    compose_slices,
    invert_slices,
    slice_parameters,
    slice_theta,
)

PARAMETERS = torch.tensor([[0.3, 0.1, -0.2], [-1.0, 0.0, 0.4]])


@pytest.mark.parametrize("body", SLICE_BODIES)
def test_a_fresh_network_says_that_nothing_moved(body):
    network = SliceNet(SliceArchitecture(body=body, size=16, channels=(4, 8), hidden=8))
    assert torch.equal(network(torch.rand(3, 2, 16, 16)), torch.zeros(3, 3))


def test_parameters_come_back_from_theta():
    assert torch.allclose(slice_parameters(slice_theta(PARAMETERS)), PARAMETERS, atol=1e-6)


def test_a_move_and_its_inverse_cancel():
    theta = slice_theta(PARAMETERS)
    assert torch.allclose(compose_slices(invert_slices(theta), theta), slice_theta(torch.zeros(2, 3)), atol=1e-6)


def test_answers_are_bounded():
    architecture = SliceArchitecture(size=16, channels=(4,), hidden=8)
    network = SliceNet(architecture)
    torch.nn.init.normal_(network.head.weight, std=100.0)
    found = network(torch.rand(4, 2, 16, 16)).abs().max(0).values
    assert found[0] <= math.radians(architecture.rotation_deg) + 1e-5
    assert found[1:].max() <= architecture.translation + 1e-5


def test_architecture_survives_plain_values():
    architecture = SliceArchitecture(body="fcn", size=32)
    assert SliceArchitecture.from_dict(architecture.to_dict()) == architecture
    with pytest.raises(ValueError, match="unknown settings"):
        SliceArchitecture.from_dict({"depth": 3})
    with pytest.raises(ValueError, match="body is one of"):
        SliceArchitecture(body="unet")
