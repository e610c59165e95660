from dataclasses import replace

import numpy as np
import pytest

from stnreg.geometry.affine import (
    Parameters,
    compose,
    from_parameters,
    invert,
    mean_error_mm,
    nearest_dof,
    random_affine,
)
from stnreg.geometry.grid import Grid
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.simulated import refine_blurred
from stnreg.registration.refine.smoothness import blurred, smoothness_mm

TRUTH = nearest_dof(random_affine(np.random.default_rng(5), translation_mm=15, rotation_deg=20), (0, 0, 0), 6)
OFF = from_parameters(Parameters((1, -1.5, 1), (1, -1.5, 1), (1.02, 1.02, 1.02)), (0, 0, 0))
STRETCH = np.diag([1.08, 0.95, 1.04, 1.0])
EYE = np.eye(4)
BLUR_MM = 10.0


@pytest.fixture(scope="module")
def fine(head):
    """Return a head with detail that blur removes."""
    rng = np.random.default_rng(3)
    direction = rng.standard_normal(head.frequencies.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length_mm = rng.uniform(8, 40, (len(direction), 1))
    return replace(head, frequencies=(2 * np.pi / length_mm * direction).astype(np.float32))


def hill(shares):
    """Make what is brightest darker again."""
    return np.exp(-(((shares - 0.75) / 0.15) ** 2)).astype(np.float32)


def side(head, move, blur_mm=0.0, contrast=lambda shares: shares):
    image = head.scan(move, Grid.cube((0.4, -0.3, 0.2), 100, 2.0), noise=0.005, contrast=contrast)
    return blurred(image, blur_mm) if blur_mm else image, Region(head.brain(move))


def refined(sides, start):
    levels = tuple(build_levels(image, [2.0], region)[0] for image, region in sides)
    return refine_blurred(sides, levels, start, None)


def test_one_head_in_a_blurred_image_of_another_contrast_is_aligned_rigidly(fine):
    found = refined((side(fine, EYE), side(fine, TRUTH, BLUR_MM, hill)), compose(TRUTH, OFF))
    assert found is not None
    assert mean_error_mm(found.fixed_to_moving, TRUTH, fine.points()) < 0.2
    assert abs(found.blur_mm - BLUR_MM) <= 2.0
    linear = found.fixed_to_moving[:3, :3]
    np.testing.assert_allclose(linear.T @ linear, np.eye(3), atol=1e-12)


def test_the_images_exchanged_give_the_inverse(fine):
    sides = side(fine, EYE), side(fine, TRUTH, BLUR_MM, hill)
    start = nearest_dof(compose(TRUTH, OFF), (0, 0, 0), 6)
    there, back = refined(sides, start), refined(sides[::-1], invert(start))
    assert there is not None
    assert back is not None
    assert mean_error_mm(invert(back.fixed_to_moving), there.fixed_to_moving, fine.points()) < 0.01


def test_a_blurred_head_of_another_shape_is_another_head(fine):
    truth = compose(TRUTH, STRETCH)
    assert refined((side(fine, EYE), side(fine, truth, BLUR_MM)), truth) is None


def test_images_of_one_resolution_are_left_to_others(fine):
    assert refined((side(fine, EYE), side(fine, TRUTH, 0.0, hill)), TRUTH) is None


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_white_noise_does_not_make_an_image_sharper(fine, noise):
    (array, grid), region = side(fine, EYE, BLUR_MM)
    array = array + (noise * np.random.default_rng(0).standard_normal(array.shape)).astype(np.float32)
    plain = smoothness_mm(build_levels((array, grid), [2.0], region)[0])
    sharp = smoothness_mm(build_levels(side(fine, EYE)[0], [2.0], region)[0])
    assert plain > sharp
