"""The mirror fits better if and only if left and right are exchanged."""

from dataclasses import replace

import numpy as np

from stnreg.geometry.affine import Parameters, from_parameters, mean_error_mm
from stnreg.registration.refine import refine_affine
from stnreg.registration.refine.mirror import check_mirror
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region

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


def test_exchanged_left_and_right_is_detected(head):
    refined = _refined(head, MOVE @ MIRROR, moving_mirror=MOVE @ MIRROR @ np.linalg.inv(MOVE))
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
