import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.dual_guided import DualGuidedNet, DualGuidedShape, sources  # noqa: E402


def test_every_level_has_a_displacement():
    network = DualGuidedNet(DualGuidedShape((16, 24, 16), 4.0, (4, 4, 4), 1))
    levels = network.levels(torch.rand(2, 2, 16, 24, 16))
    assert [tuple(level.shape) for level in levels] == [(2, 3, 16, 24, 16), (2, 3, 8, 12, 8)]


def test_it_sees_both_images_their_difference_and_their_edges():
    pair = torch.rand(1, 2, 4, 4, 4)
    pair[:, 1] = torch.arange(4.0)  # along x
    seen = sources(pair)
    assert torch.equal(seen[:, :2], pair)
    assert torch.equal(seen[:, 2], pair[:, 1] - pair[:, 0])
    assert torch.allclose(seen[0, 4, :, :, 1:3], torch.full((4, 4, 2), 2.0), atol=1e-3)
    assert sources(torch.ones(1, 2, 4, 4, 4))[:, 2:].abs().max() < 2e-3


def test_a_patch_gives_what_the_whole_gives():
    torch.manual_seed(0)
    network = DualGuidedNet(DualGuidedShape((48, 80, 48), 4.0, (2, 2), 1)).eval()
    whole = torch.rand(1, 2, 48, 80, 48)
    of_whole, of_patch = network(whole), network(whole[:, :, :, 16:64])
    assert of_whole.abs().max() > 0
    assert torch.allclose(of_whole[:, :, :, 36:44], of_patch[:, :, :, 20:28], atol=1e-6)
