import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stnreg.geometry.affine import Parameters, compose, from_parameters, mean_error_mm, nearest_dof, random_affine
from stnreg.registration.refine import information
from stnreg.registration.refine.information import informed_levels, refine_one_head, shows_one_head
from stnreg.registration.refine.linearization import linearize_both
from stnreg.registration.refine.mutual_information import inform
from stnreg.registration.refine.object_level import sample_object
from stnreg.registration.refine.region import Region
from stnreg.resampling.resample import resample

TRUTH = nearest_dof(random_affine(np.random.default_rng(11), translation_mm=15, rotation_deg=20), (0, 0, 0), 6)
OFF = from_parameters(Parameters((2, -2.5, 2), (2, -3, 2.5), (1.02, 1.02, 1.02)), (0, 0, 0))
STRETCH = np.diag([1.08, 0.95, 1.04, 1.0])
EYE = np.eye(4)


def hill(shares):
    """Turn the order of the intensities around in the middle: no polynomial of the other image's helps much."""
    return 400 * np.abs(shares - 0.8)


def side(head, move, contrast=lambda shares: shares):
    return head.scan(move, noise=0.005, contrast=contrast), Region(head.brain(move))


def test_one_head_in_another_contrast_is_aligned_rigidly(head):
    found = refine_one_head((side(head, EYE), side(head, TRUTH, hill)), compose(TRUTH, OFF), compose(TRUTH, OFF), None)
    assert found is not None
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.3
    linear = found.fixed_to_moving[:3, :3]
    np.testing.assert_allclose(linear.T @ linear, np.eye(3), atol=1e-12)


def test_a_head_of_another_shape_is_another_head(head):
    truth = compose(TRUTH, STRETCH)
    assert refine_one_head((side(head, EYE), side(head, truth, hill)), truth, truth, None) is None


def test_what_is_far_brighter_than_the_brain_does_not_change_its_range(head):
    (image, grid), region = side(head, EYE)
    hot = image.copy()
    hot[:6] = 3000  # outside the brain
    plain, bright = (informed_levels((one, grid), region, [4.0])[0] for one in (image, hot))
    points = head.points()[:500].T.astype(np.float32)
    np.testing.assert_allclose(bright.values_at(points, EYE), plain.values_at(points, EYE), atol=1e-6)


def test_one_head_shares_as_much_rigidly_and_more_than_under_a_wrong_pose():
    # As measured: rigidly, under an affine, and inside the brains alone.
    assert shows_one_head(1.018, 1.018 / 0.971, 0.588)
    assert not shows_one_head(0.504, 0.504 / 0.908, 0.24)  # two people
    assert not shows_one_head(0.182, 0.165, 0.1)  # 88 mm off
    assert not shows_one_head(0.0, 0.0, 0.0)
    assert shows_one_head(1.235, 1.335, 1.074)  # a CT: the insides share more than those of two people


@pytest.mark.parametrize("stripped", [False, True])
def test_what_two_stripped_images_share_is_their_outline_alone(head, stripped):
    # The insides have nothing in common, and neither has anything around: one value, of the mean brightness or none.
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.standard_normal((2, *head.scan(EYE)[0].shape)), (0, 1, 1, 1)).astype(np.float32)
    sides = []
    for one in noise:
        _, grid = head.scan(EYE)
        share, share_grid = head.brain(EYE)
        inside = resample(share, share_grid, grid, EYE) > 0.5
        shown = 500 + 100 * one / one.std()
        sides.append(
            (
                (np.where(inside, shown, 0.0 if stripped else 500.0).astype(np.float32), grid),
                Region((share, share_grid)),
            )
        )
    p = information.PASSES[information.TELLING]
    levels = [informed_levels(image, region, [p.spacing_mm])[0] for image, region in sides]
    inside_nats = information._nats_inside(levels, tuple(sides), EYE, p)
    fixed, moving = (sample_object(level, p.samples) for level in levels)
    everywhere = information._both_ways(linearize_both(fixed, moving, EYE, np.zeros(3), one_way=inform))
    assert inside_nats < 0.35
    assert (everywhere > 0.8) == stripped


def test_two_stripped_heads_that_share_little_inside_are_to_correlate(head, monkeypatch):
    sides = (side(head, EYE), side(head, TRUTH, hill))
    for inside, little in ((0.2, True), (0.7, False)):
        monkeypatch.setattr(information, "_nats_inside", lambda *_, inside=inside: inside)
        monkeypatch.setattr(information, "_nats", lambda _: 1.3)
        found = refine_one_head(sides, compose(TRUTH, OFF), compose(TRUTH, OFF), None)
        assert found.shares_little == little
