"""The synthesis network: blocks of voxels laid side by side and back, and an image of the same size."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.synthesis import SynthesisNet, SynthesisShape, from_channels, to_channels  # noqa: E402

TINY = SynthesisShape((16, 24, 16), 10.0, widths=(4, 4, 4), head_width=4)


def test_blocks_are_laid_side_by_side_and_back():
    image = torch.arange(2 * 4 * 6 * 8, dtype=torch.float32).reshape(2, 1, 4, 6, 8)
    channels = to_channels(image)
    assert channels.shape == (2, 8, 2, 3, 4)
    assert torch.equal(channels[1, :, 1, 2, 3].reshape(2, 2, 2), image[1, 0, 2:4, 4:6, 6:8])
    assert torch.equal(from_channels(channels), image)


def test_it_makes_an_image_and_its_certainty_that_depend_on_every_voxel():
    torch.manual_seed(0)
    image = torch.rand(1, 1, *TINY.shape, requires_grad=True)
    found = SynthesisNet(TINY)(image)
    assert found.shape == (1, 2, *TINY.shape)
    assert (found[:, 1] > 0).all()
    assert (found[:, 1] < 1).all()
    for part in (found[:, :1], found[:, 1:]):
        (gradient,) = torch.autograd.grad(part.square().sum(), image, retain_graph=True)
        assert (gradient != 0).all()
