import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.registration.refine.degrees_of_freedom import UNIT_MM, step
from stnreg.registration.refine.linearization import linearize_both
from stnreg.registration.refine.mutual_information import inform
from stnreg.registration.refine.object_level import object_levels, sample_object
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import middle

TRUTH = from_parameters(Parameters((3.0, -2.0, 1.0), (4.0, -2.0, 3.0)), (0, 0, 0))


@pytest.fixture(scope="module")
def pair(head):
    # In air, and with so much of it around that no sample leaves the other image.
    grid = Grid.cube((0.4, -0.3, 0.2), 100, 3.0)
    dark = head.scan(np.eye(4), grid, contrast=lambda shares: shares - 0.2)
    bright = head.scan(TRUTH, grid, contrast=lambda shares: np.where(shares > 0.3, 1.6 - shares, shares - 0.2))
    images = (dark, bright)
    return tuple(sample_object(object_levels(image, [6.0], Region())[0], 20_000) for image in images)


def both(pair, fixed_to_moving):
    return linearize_both(*pair, fixed_to_moving, middle(*pair, fixed_to_moving), None, inform)


def test_the_right_hand_side_is_minus_the_gradient_of_the_cost(pair):
    near = from_parameters(Parameters((4.0, -1.0, 0.5), (5.0, -1.0, 2.0)), (0, 0, 0))
    center = middle(*pair, near)
    found = linearize_both(*pair, near, center, None, inform)
    rhs = found[0].rhs + found[1].rhs

    def cost(numbers):
        moved = linearize_both(*pair, step(near, numbers, center, 12), center, None, inform)
        return sum(one.cost() for one in moved)

    h = 0.1 / UNIT_MM
    for k in range(12):
        change = np.zeros(12)
        change[k] = h
        numeric = -(cost(change) - cost(-change)) / (2 * h)
        assert rhs[k] == pytest.approx(numeric, abs=0.05 * np.abs(rhs).max())


def test_inverted_contrast_shares_as_much_as_it_should(pair):
    right, wrong = both(pair, TRUTH), both(pair, from_parameters(Parameters((20, 0, 0), (0, 0, 30)), (0, 0, 0)))
    assert min(one.nats for one in right) > 1.5 * max(one.nats for one in wrong)


def test_exchanging_the_images_exchanges_the_directions(pair):
    there, back = both(pair, TRUTH), both(pair[::-1], invert(TRUTH))
    assert there[0].nats == pytest.approx(back[1].nats, rel=1e-4)
    assert there[1].outline_error == pytest.approx(back[0].outline_error, rel=1e-3, abs=1e-6)


def test_images_that_do_not_meet_share_nothing(pair):
    away = np.eye(4)
    away[0, 3] = 1000.0
    found = both(pair, away)
    assert all(one.nats == one.overlap == 0 and not one.normal.any() for one in found)


def test_a_constant_image_is_not_an_error():
    flat = (np.full((12, 12, 12), 7.0, np.float32), Grid.cube((0, 0, 0), 12, 5.0))
    samples = sample_object(object_levels(flat, [5.0], Region())[0], 1000)
    assert all(np.isfinite(one.cost()) for one in both((samples, samples), np.eye(4)))
