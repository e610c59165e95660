"""The mirror fits better if and only if left and right are exchanged."""

from dataclasses import replace

import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, from_parameters, mean_error_mm, nearest_dof
from stnreg.registration.refine import refine_affine
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.mirror import MAX_STEPS, SAMPLES, STOP_MM, check_mirror, is_mirrored
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, take_samples

MOVE = from_parameters(Parameters((4.0, -3.0, 2.0), (3.0, -4.0, 5.0)), np.zeros(3))
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


def _refined(head, head_to_moving, **options):
    return refine_affine(
        head.scan(np.eye(4)),
        head.scan(head_to_moving),
        np.eye(4),
        fixed_brain=head.brain(np.eye(4)),
        moving_brain=head.brain(head_to_moving),
        **options,
    )


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_exchanged_left_and_right_is_detected(head, dof):
    refined = _refined(head, MOVE @ MIRROR, moving_mirror=MOVE @ MIRROR @ np.linalg.inv(MOVE), dof=dof)
    assert refined.mirror_gain > 0.3
    assert refined.mirrored
    assert np.linalg.det(refined.fixed_to_moving[:3, :3]) > 0


def test_a_head_as_it_is_does_not_fit_its_mirror(head):
    refined = _refined(head, MOVE, moving_mirror=MOVE @ MIRROR @ np.linalg.inv(MOVE))
    assert refined.mirror_gain < -0.3
    assert not refined.mirrored


def test_the_mirror_is_checked_on_request_only(head):
    refined = _refined(head, MOVE)
    assert refined.mirror_gain is None
    assert not refined.mirrored


def test_a_restart_from_the_mirror_is_no_exchange(head):
    """A misaligned symmetric head fits better after its mirror has been aligned, and so does the head itself."""
    even = replace(head, frequencies=np.concatenate([head.frequencies, head.frequencies * (-1, 1, 1)]).astype("f4"),
                   phases=np.tile(head.phases, 2))  # fmt: skip
    (level,) = build_levels(even.scan(np.eye(4)), (4.0,), Region(even.brain(np.eye(4))))
    off = from_parameters(Parameters((0, 0, 0), (3.0, 4.0, -3.0)), np.zeros(3))
    check = check_mirror((level, level), off, MIRROR, 12)
    assert mean_error_mm(check.unmirrored_restart, np.eye(4), even.points()) < 0.5
    assert abs(check.gain) < 0.02


@pytest.mark.parametrize("dof", [6, 7, 12])
def test_head_and_mirror_have_as_many_degrees_of_freedom(head, dof):
    """A symmetric head fits one of another shape as well as it fits that one's mirror."""
    even = replace(head, frequencies=np.concatenate([head.frequencies, head.frequencies * (-1, 1, 1)]).astype("f4"),
                   phases=np.tile(head.phases, 2))  # fmt: skip
    smaller = from_parameters(Parameters((0, 0, 0), (0, 0, 0), (1.0, 0.85, 0.97)), np.zeros(3))
    levels = tuple(build_levels(even.scan(move), (4.0,), Region(even.brain(move)))[0] for move in (np.eye(4), smaller))
    nearest = nearest_dof(smaller, np.zeros(3), dof)
    sampled = [SampledImage(take_samples(level, SAMPLES), level) for level in levels]
    stretched, kept = (minimize(*sampled, nearest, dof=d, max_steps=MAX_STEPS, stop_mm=STOP_MM) for d in (12, dof))
    assert dof == 12 or is_mirrored(stretched.correlation - kept.correlation), "stretching alone would do"
    assert abs(check_mirror(levels, nearest, MIRROR, dof).gain) < 0.02
