from dataclasses import replace

import numpy as np

from stnreg.models.calibration import PairCalibration
from stnreg.registration.object_quality import assess_objects
from stnreg.registration.refine.refined import Refined

LIMITS = PairCalibration(min_correlation=0.3, min_overlap=0.5, max_there_and_back_mm=4.0)
RIGHT = Refined(
    fixed_to_moving=np.eye(4),
    improved=True,
    dof=12,
    same_person=False,
    same_contrast=True,
    local_correlation=0.45,
    start_correlation=0.2,
    overlap=0.9,
    residual=0.5,
    motion_mm=3.0,
    mirror_gain=None,
    steps=(1, 2, 3),
    timings_s={},
    there_and_back_mm=1.0,
)


def test_a_right_registration_is_accepted_with_its_correlation_as_score():
    verdict = assess_objects(RIGHT, LIMITS)
    assert (verdict.passed, verdict.score, verdict.reasons) == (True, 0.45, ())


def test_each_figure_alone_rejects_and_says_so():
    for change, words in (
        ({"local_correlation": 0.12}, "local correlation"),
        ({"overlap": 0.2}, "20 % of one object"),
        ({"there_and_back_mm": 30.0}, "30.0 mm apart"),
    ):
        verdict = assess_objects(replace(RIGHT, **change), LIMITS)
        assert verdict.passed is False
        assert len(verdict.reasons) == 1
        assert words in verdict.reasons[0]


def test_images_of_one_object_need_not_agree_there_and_back():
    assert assess_objects(replace(RIGHT, same_person=True, there_and_back_mm=90.0), LIMITS).passed


def test_a_correlation_that_is_no_number_is_rejected():
    assert assess_objects(replace(RIGHT, local_correlation=float("nan")), LIMITS).passed is False


def test_without_a_calibration_nothing_is_claimed_unless_a_score_is_given():
    verdict = assess_objects(RIGHT, None)
    assert verdict.passed is None
    assert "stnreg calibrate" in verdict.reasons[0]
    assert assess_objects(RIGHT, None, 0.4).passed is True
    assert assess_objects(RIGHT, None, 0.5).passed is False
    assert assess_objects(RIGHT, LIMITS, 0.5).passed is False
