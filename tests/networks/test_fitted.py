import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.fitted import FittedBody, solve  # noqa: E402
from stnreg.networks.pair import PairArchitecture, PairNet  # noqa: E402
from stnreg.networks.spatial_transformer import invert_theta, warp  # noqa: E402

SIZE = 48


def smooth(seed=0, size=SIZE):
    """A smooth random image, (1, 1, size, size, size)."""
    coarse = torch.rand(1, 1, 9, 9, 9, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size,) * 3, mode="trilinear", align_corners=True)


def make(head, size=SIZE):
    torch.manual_seed(1)
    return PairNet(PairArchitecture(head=head, size=size, channels=(8, 8), hidden=4, body="fitted")).eval()


MOVE = torch.tensor([[[1.01, 0.02, 0.0, 0.02], [-0.02, 0.99, 0.01, -0.03], [0.0, -0.01, 1.0, 0.01]]])


@torch.no_grad()
@pytest.mark.parametrize("head", ["affine", "separate"])
def test_even_untrained_it_finds_most_of_a_small_move(head):
    image = smooth()
    moving = warp(image, invert_theta(MOVE))
    found = make(head)(torch.cat([image, moving], dim=1))
    assert float((found - MOVE).norm()) < 0.5 * float((torch.eye(3, 4) - MOVE).norm())


@torch.no_grad()
def test_equal_images_are_not_moved_and_exchanged_ones_the_opposite_way():
    body = make("affine").fitted
    image, other = smooth(), warp(smooth(), MOVE)
    assert torch.allclose(body(torch.cat([image, image], dim=1)), torch.zeros(1, 12), atol=1e-6)
    there, back = body(torch.cat([image, other], dim=1)), body(torch.cat([other, image], dim=1))
    assert there.abs().max() > 1e-3
    assert torch.allclose(there, -back, atol=1e-5)


@torch.no_grad()
def test_brightness_and_contrast_change_little():
    body = make("affine").fitted
    image, other = smooth(), warp(smooth(), MOVE)
    plain, brighter = (body(torch.cat([image, one], dim=1)) for one in (other, 2 * other))
    assert float((plain - brighter).norm()) < 0.2 * float(plain.norm())


def test_all_weights_learn():
    network = make("separate")
    torch.nn.init.normal_(network.fitted.balance[2].weight, std=0.1)
    pair = torch.cat([smooth(0), smooth(1)], dim=1)
    network(pair).square().sum().backward()
    silent = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A constant that instance normalisation takes away.
    assert [name for name in silent if not name.startswith("fitted.describe") and not name.endswith("0.bias")] == []


def test_the_normal_equations_are_sums_over_the_cells():
    body = FittedBody((4, 4), 3, torch.eye(12))
    level = body._levels(torch.rand(2, 2, 32, 32, 32))[0]
    share = torch.rand(2, 3)
    matrix, vector = level.normal_equations(share)
    axis = level.powers[:, 1]
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    places = torch.stack([x, y, z, torch.ones_like(x)])  # (4, d, d, d)
    steps = torch.einsum("nikzyx,azyx->nkiazyx", level.slope, places).flatten(2, 3)  # (N, K, 12, d, d, d)
    weight = share[:, :, None, None, None] * level.weight
    cells = len(axis) ** 3
    assert torch.allclose(matrix, torch.einsum("nkpzyx,nkqzyx,nkzyx->npq", steps, steps, weight) / cells, rtol=1e-3)
    expected = torch.einsum("nkpzyx,nkzyx,nkzyx->np", steps, level.difference, weight) / cells
    assert torch.allclose(vector[:, :, 0], expected, rtol=1e-3, atol=1e-5)


def test_elimination_solves():
    root = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(0))
    matrix, vector = root @ root.transpose(1, 2), torch.ones(3, 12, 1)
    assert torch.allclose(solve(matrix, vector), torch.linalg.solve(matrix, vector), atol=1e-4)
