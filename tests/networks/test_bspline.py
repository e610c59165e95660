import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.geometry.grid import Grid  # noqa: E402
from stnreg.networks.bspline import BSplineNet, BSplineShape, composed, evaluate, too_steep  # noqa: E402
from stnreg.transforms.bspline import FOLDING_FACTOR, BSplineField  # noqa: E402
from stnreg.transforms.displacement import DisplacementField  # noqa: E402

BOX = (16, 24, 16)
GRID = Grid.cube(np.zeros(3), BOX[::-1], 4.0)


def lattice():
    to_voxel = np.diag([2.0, 2.0, 2.0, 1.0])
    to_voxel[:3, 3] = 0.5
    return Grid((8, 12, 8), GRID.index_to_lps @ to_voxel)


def drawn(seed, size):
    return size * (2 * torch.rand((1, 1, 3, 8, 12, 8), generator=torch.Generator().manual_seed(seed)) - 1)


def folds(displacement):
    return DisplacementField(displacement[0].numpy(), GRID).count_folds()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_the_spline_is_that_of_the_transform(seed):
    coefficients = drawn(seed, 5.0)
    expected = BSplineField(coefficients[0, 0].numpy(), lattice()).to_displacement(GRID).vectors
    assert np.abs(evaluate(coefficients[0]).numpy()[0] - expected).max() < 1e-4


@pytest.mark.parametrize("steps", [1, 3])
def test_bounded_coefficients_stay_below_the_bound_whatever_the_weights(steps):
    network = BSplineNet(BSplineShape(BOX, 4.0, (4, 4, 4), steps))
    torch.nn.init.normal_(network.head.weight, std=100.0)
    found = network.coefficients(torch.rand(1, 2, *BOX)).detach()
    assert found.shape == (1, steps, 3, 8, 12, 8)
    assert found.abs().max() > 0.9 * 8 / FOLDING_FACTOR
    for number in range(steps):
        assert BSplineField(found[0, number].numpy(), lattice()).share_of_bound() < 1


def test_without_the_bound_the_same_weights_fold():
    shapes = BSplineShape(BOX, 4.0, (4, 4, 4), 1), BSplineShape(BOX, 4.0, (4, 4, 4), 1, share=0.0)
    torch.manual_seed(0)
    networks = [BSplineNet(shape) for shape in shapes]
    torch.nn.init.normal_(networks[0].head.weight, std=100.0)
    networks[1].load_state_dict(networks[0].state_dict())
    pair = torch.rand(1, 2, *BOX)
    bounded, free = (folds(network(pair).detach()) for network in networks)
    assert (bounded.central, bounded.digital) == (0, 0)
    assert free.central > 0
    assert free.digital > free.central


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_differences_below_a_third_of_the_spacing_do_not_fold(seed):
    coefficients = drawn(seed, 8 / 6.01)  # so that no difference reaches 8 / 3
    assert too_steep(coefficients, 8.0) == 0
    assert folds(evaluate(coefficients[0])).digital == 0
    assert too_steep(10 * coefficients, 8.0) > 0


def test_composed_shifts_add_up():
    shifts = torch.tensor([[1.0, 2.0, -3.0], [4.0, 0.0, 1.0]]).view(1, 2, 3, 1, 1, 1).expand(1, 2, 3, *BOX)
    found = composed(shifts, 4.0)
    inner = found[0, :, 4:-4, 4:-4, 4:-4]
    assert torch.allclose(inner, torch.tensor([5.0, 2.0, -2.0]).view(3, 1, 1, 1).expand_as(inner), atol=1e-5)


def test_an_untrained_network_moves_next_to_nothing():
    assert BSplineNet(BSplineShape(BOX, 4.0, (4, 4, 4)))(torch.rand(1, 2, *BOX)).abs().max() < 1
