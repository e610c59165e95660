"""Each limit has its reason, and a deformation within all of them leaves the verdict of the affine."""

import numpy as np
import pytest

from stnreg.models.calibration import DeformationLimits
from stnreg.registration.deformable.frame import Frame, box
from stnreg.registration.deformable.quality import assess_deformation
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.quality import Verdict
from stnreg.transforms.velocity import VelocityField

LIMITS = DeformationLimits(max_log_jacobian_sd=0.6, min_agreement=0.7, min_gain=-0.02, min_agreement_before=0.5)
ACCEPTED = Verdict(True, 0.9)


def deformation(**change):
    grid = box((4, 4, 4), 2.0)
    figures = {
        "folds_central": 0,
        "folds_digital": 0,
        "log_jacobian_sd": 0.3,
        "largest_mm": 9.0,
        "agreement_before": 0.8,
        "agreement_after": 0.85,
    }
    velocity = VelocityField(np.zeros((3, 4, 4, 4), np.float32), grid)
    return Deformation(velocity, Frame(np.eye(4), np.eye(4)), stiffness_mm=1.5, **{**figures, **change})


def test_a_good_deformation_is_accepted():
    assert assess_deformation(ACCEPTED, deformation(), LIMITS) == ACCEPTED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"folds_central": 3}, "folds at 3 voxels"),
        ({"folds_digital": 7}, "folds at 7 voxels"),
        ({"log_jacobian_sd": 0.61}, "standard deviation of log J is 0.610, at most 0.600"),
        ({"log_jacobian_sd": float("nan")}, "standard deviation of log J"),
        ({"agreement_after": 0.69, "agreement_before": 0.6}, "agree by 0.690; at least 0.700"),
        ({"agreement_before": 0.49}, "agree by 0.490 under it; at least 0.500"),
        ({"agreement_after": 0.75}, "did not bring the structures together"),
    ],
)
def test_each_limit_has_its_reason(change, reason):
    found = assess_deformation(ACCEPTED, deformation(**change), LIMITS)
    assert found.passed is False
    assert found.score == ACCEPTED.score
    assert len(found.reasons) == 1
    assert reason in found.reasons[0]


def test_a_rejected_affine_stays_rejected():
    affine = Verdict(False, 0.2, ("the structures do not agree",))
    assert assess_deformation(affine, deformation(), LIMITS) == affine
    both = assess_deformation(affine, deformation(folds_digital=1), LIMITS)
    assert both.reasons[0] == affine.reasons[0]
    assert len(both.reasons) == 2
