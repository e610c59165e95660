import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.linear_deformable import (  # noqa: E402
    LinearDeformableNet,
    LinearDeformableShape,
    integrated,
    places_mm,
)

BOX = (16, 24, 16)
SHAPE = LinearDeformableShape(BOX, 4.0, 4, (1, 2), 8)


def test_untrained_it_is_the_identity():
    affine, gradients = LinearDeformableNet(SHAPE).parts(torch.rand(2, 2, *BOX))
    assert torch.equal(affine, torch.eye(3, 4).expand(2, 3, 4))
    assert torch.equal(gradients, torch.ones(2, 3, *BOX))
    assert LinearDeformableNet(SHAPE)(torch.rand(1, 2, *BOX)).abs().max() < 1e-4


def test_gradients_are_bounded_and_no_coordinate_turns_back():
    network = LinearDeformableNet(SHAPE)
    torch.nn.init.normal_(network.gradients.weight, std=100.0)
    _, gradients = network.parts(torch.rand(1, 2, *BOX))
    assert 0 <= gradients.min() < 0.01
    assert 1.99 < gradients.max() <= 2
    place = places_mm(BOX, 4.0, like=gradients) + integrated(gradients, 4.0)
    for component, axis in ((0, 4), (1, 3), (2, 2)):
        steps = place[:, component].diff(dim=axis - 1)
        assert steps.min() > -1e-3
        there = gradients[:, component].narrow(axis - 1, 1, steps.shape[axis - 1])
        assert torch.allclose(steps, 4 * there, atol=1e-3)


def test_the_affine_follows_the_deformation():
    network = LinearDeformableNet(SHAPE)
    affine = torch.tensor([[1.1, 0.0, 0.0, 2.0], [0.0, 1.0, 0.2, 0.0], [0.0, 0.0, 1.0, -3.0]])[None]
    gradients = torch.full((1, 3, *BOX), 1.5)
    found = network.displacement(affine, gradients)[0].numpy()
    start = places_mm(BOX, 4.0, like=affine)[0].numpy()
    bent = start + integrated(gradients, 4.0)[0].numpy()
    expected = np.einsum("ij,jzyx->izyx", affine[0, :, :3].numpy(), bent) + affine[0, :, 3].numpy()[:, None, None, None]
    assert np.abs(start + found - expected).max() < 1e-3
