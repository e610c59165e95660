import numpy as np

from stnreg.geometry.affine import Parameters, compose, from_parameters, mean_error_mm, nearest_dof, random_affine
from stnreg.registration.refine.information import informed_levels, refine_one_head, shows_one_head
from stnreg.registration.refine.region import Region

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
    assert shows_one_head(1.018, 1.018 / 0.971)
    assert not shows_one_head(0.504, 0.504 / 0.908)  # two people
    assert not shows_one_head(0.182, 0.165)  # as measured, 88 mm off
    assert not shows_one_head(0.0, 0.0)
