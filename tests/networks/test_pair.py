import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.pair import BODIES, PairArchitecture, PairNet  # noqa: E402
from stnreg.networks.parameters import HEADS  # noqa: E402

TINY = {"size": 16, "channels": (4, 8), "hidden": 8}
REGRESSING = [body for body in BODIES if body != "fitted"]


@pytest.mark.parametrize("body", REGRESSING)
@pytest.mark.parametrize("head", HEADS)
def test_a_fresh_network_is_the_identity_whatever_it_sees(head, body):
    network = PairNet(PairArchitecture(head=head, body=body, **TINY))
    theta = network(torch.randn(2, 2, 16, 16, 16))
    assert torch.equal(theta, torch.eye(3, 4).expand(2, 3, 4))


@pytest.mark.parametrize("body", REGRESSING)
def test_a_batch_of_two_equals_two_batches_of_one(body):
    network = PairNet(PairArchitecture(head="rigid", body=body, **TINY))
    torch.nn.init.normal_(network.head.weight, std=0.1)
    pairs = torch.rand(2, 2, 16, 16, 16)
    together = network(pairs)
    assert torch.allclose(together, torch.cat([network(pairs[:1]), network(pairs[1:])]), atol=1e-6)


def test_every_kernel_is_five_voxels_wide():
    network = PairNet(PairArchitecture())
    kernels = [layer.kernel_size for layer in network.features if isinstance(layer, torch.nn.Conv3d)]
    assert kernels == [(5, 5, 5)] * 4


def test_theta_is_float32_under_autocast():
    network = PairNet(PairArchitecture(head="separate", **TINY))
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.rand(1, 2, 16, 16, 16)).dtype == torch.float32


def test_architecture_survives_plain_values():
    architecture = PairArchitecture(head="separate", order=("rotation", "translation"), **TINY)
    assert PairArchitecture.from_dict(architecture.to_dict()) == architecture
    with pytest.raises(ValueError, match="unknown settings"):
        PairArchitecture.from_dict({"depth": 3})
    with pytest.raises(ValueError, match="head is one of"):
        PairArchitecture(head="similarity")
    with pytest.raises(ValueError, match="body is one of"):
        PairArchitecture(body="unet")
    with pytest.raises(ValueError, match="a fitted body has two channels"):
        PairArchitecture(body="fitted", **TINY)
    with pytest.raises(ValueError, match="order names some of"):
        PairArchitecture(order=("shear", "shear"))


def test_a_rigid_head_gives_rotations_and_translations_alone():
    network = PairNet(PairArchitecture(head="rigid", **TINY))
    torch.nn.init.normal_(network.head.weight, std=0.3)
    linear = network(torch.rand(3, 2, 16, 16, 16))[:, :, :3]
    assert torch.allclose(linear @ linear.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-5)


def test_one_encoder_sees_both_images():
    network = PairNet(PairArchitecture(body="twin", **TINY))
    shapes = []
    network.features.register_forward_hook(lambda module, given, found: shapes.append(tuple(given[0].shape)))
    network(torch.rand(2, 2, 16, 16, 16))
    assert shapes == [(2, 1, 16, 16, 16)] * 2
