"""The frame halfway between two heads does not depend on which of them is fixed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert
from stnreg.registration.deformable.frame import EXTENT_MM, box, frame_between


def affines(far_mm, degrees, scale):
    def three(most):
        return st.tuples(*[st.floats(-most, most)] * 3)

    sizes = st.tuples(*[st.floats(1 - scale, 1 + scale)] * 3)
    return st.builds(
        lambda t, r, s: from_parameters(Parameters(t, r, s), (0, 0, 0)), three(far_mm), three(degrees), sizes
    )


ANYWHERE, A_LITTLE = affines(80, 60, 0.2), affines(10, 15, 0.1)
POINTS = np.random.default_rng(0).uniform(-80, 80, (20, 3))


def apart_mm(a, b):
    return np.linalg.norm(apply_affine(a, POINTS) - apply_affine(b, POINTS), axis=1).max()


@settings(max_examples=50, deadline=None)
@given(ANYWHERE, ANYWHERE, A_LITTLE)
def test_exchanged_images_exchange_the_sides(to_fixed, to_moving, left_over):
    fixed_to_moving = compose(to_moving, left_over, invert(to_fixed))
    frame = frame_between(to_fixed, to_moving, fixed_to_moving)
    other = frame_between(to_moving, to_fixed, invert(fixed_to_moving))
    assert apart_mm(frame.to_fixed, other.to_moving) < 1e-6
    assert apart_mm(frame.to_moving, other.to_fixed) < 1e-6
    assert apart_mm(compose(frame.to_moving, invert(frame.to_fixed)), fixed_to_moving) < 1e-6


@settings(max_examples=20, deadline=None)
@given(ANYWHERE, ANYWHERE)
def test_heads_that_agree_keep_their_frames(to_fixed, to_moving):
    frame = frame_between(to_fixed, to_moving, compose(to_moving, invert(to_fixed)))
    assert apart_mm(frame.to_fixed, to_fixed) < 1e-6
    assert apart_mm(frame.to_moving, to_moving) < 1e-6


def test_the_box_is_about_the_origin():
    grid = box((80, 96, 80), 2.0)
    assert grid.shape == (80, 96, 80)
    assert np.allclose(grid.center_lps, 0)
    assert np.allclose(grid.extent_mm, EXTENT_MM)
