import numpy as np
import pytest

from stnreg.geometry.affine import invert, random_affine
from stnreg.registration.refine.degrees_of_freedom import step
from stnreg.registration.refine.linearization import _median, linearize_both, total_cost
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, extent, middle, motion_mm, take_samples

MOVE = random_affine(np.random.default_rng(4))


@pytest.fixture(scope="module")
def sampled(head):
    levels = [build_levels(head.scan(m), (4.0,), Region(head.brain(m)))[0] for m in (np.eye(4), MOVE)]
    return [SampledImage(take_samples(level, 6000), level) for level in levels]


def test_samples_are_the_same_every_time_and_lie_in_the_brain(sampled, head):
    again = take_samples(sampled[0].level, 6000)
    np.testing.assert_array_equal(again.points, sampled[0].samples.points)
    assert len(again.values) == 6000
    radius = np.linalg.norm((again.points.T + again.center) / (62, 76, 60), axis=1)
    assert radius.max() < 1.12


def test_the_right_hand_side_is_the_gradient_of_the_cost(sampled):
    """Against difference quotients of the cost itself, at a map that is a little off."""
    rng = np.random.default_rng(1)
    center = middle(*sampled, MOVE)
    off = step(MOVE, rng.uniform(-0.02, 0.02, 12), center, 12)
    linearized = linearize_both(*sampled, off, center)
    slope = -2 * (linearized[0].rhs + linearized[1].rhs)
    quotient = []
    for k in range(12):
        ahead, behind = (
            linearize_both(*sampled, step(off, s * np.eye(12)[k], center, 12), center) for s in (2e-3, -2e-3)
        )
        quotient.append((total_cost(ahead, linearized) - total_cost(behind, linearized)) / 4e-3)
    assert np.linalg.norm(slope - quotient) < 0.1 * np.linalg.norm(quotient)


def test_exchanging_the_images_exchanges_the_linearizations(sampled):
    center = middle(*sampled, MOVE)
    there, back = linearize_both(*sampled, MOVE, center)
    back_swapped, there_swapped = linearize_both(*sampled[::-1], invert(MOVE), center)
    assert there_swapped.scale == pytest.approx(there.scale, rel=1e-3)
    assert back_swapped.correlation == pytest.approx(back.correlation, rel=1e-3)
    assert motion_mm(*sampled, MOVE, np.eye(4)) == pytest.approx(
        motion_mm(*sampled[::-1], invert(MOVE), np.eye(4)), rel=1e-6
    )


def test_extent_of_a_brain(sampled):
    thinnest_mm, volume_ml = extent(*sampled, MOVE)
    assert 22 < thinnest_mm < 36
    assert 800 < volume_ml < 1600
    away = MOVE.copy()
    away[:3, 3] += 1000
    assert extent(*sampled, away) == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2, 7, 3000])
def test_the_median_is_that_of_numpy(count):
    values = np.random.default_rng(count).random(count, np.float32)
    assert _median(values) == float(np.median(values))
