"""From a start that is far off, mutual information leads near the place, and local correlation begins again there."""

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
from stnreg.registration.refine import refine_affine, search
from stnreg.registration.refine.information import InformedHead
from stnreg.registration.refine.linearization import Linearization, total_cost
from stnreg.registration.refine.refined import CORRELATION, INFORMATION
from stnreg.registration.refine.search import PyramidResult

TRUTH = nearest_dof(random_affine(np.random.default_rng(11), translation_mm=15, rotation_deg=20), (0, 0, 0), 6)
MIRROR = compose(TRUTH, np.diag([-1.0, 1.0, 1.0, 1.0]), invert(TRUTH))
FAR = from_parameters(Parameters((12, 12, -11), (3, -4, 5)), (0, 0, 0))  # 20 mm
EYE = np.eye(4)


def refined_from_afar(head, head_to_moving, contrast=lambda shares: shares):
    return refine_affine(
        head.scan(EYE, noise=0.005),
        head.scan(head_to_moving, noise=0.005, contrast=contrast),
        compose(TRUTH, FAR),
        fixed_brain=head.brain(EYE),
        moving_brain=head.brain(TRUTH),
        moving_mirror=MIRROR,
        threads=2,
    )


def test_exchanged_sides_are_noticed_where_the_start_is_far_off(head):
    assert refined_from_afar(head, compose(MIRROR, TRUTH)).mirrored


def test_one_person_is_refined_by_local_correlation_where_the_start_is_far_off(head):
    refined = refined_from_afar(head, TRUTH)
    assert refined.similarity == CORRELATION
    assert refined.local_correlation > 0.95
    assert refined.mirror_gain < -0.3
    assert mean_error_mm(refined.fixed_to_moving, TRUTH, head.points()) < 0.05


def test_one_person_in_another_contrast_is_found_where_the_start_is_far_off(head):
    refined = refined_from_afar(head, TRUTH, lambda shares: 400 * np.abs(shares - 0.8))
    assert refined.same_person
    assert not refined.mirrored
    assert mean_error_mm(refined.fixed_to_moving, TRUTH, head.points()) < 0.5


@pytest.mark.parametrize(
    ("off_mm", "shares_little", "similarity"), [(2, True, CORRELATION), (2, False, INFORMATION), (0, True, INFORMATION)]
)
def test_one_head_that_shares_little_must_correlate_as_well_rigidly(
    head, monkeypatch, off_mm, shares_little, similarity
):
    end = compose(TRUTH, from_parameters(Parameters((off_mm, off_mm, 0), (0, 0, 0)), (0, 0, 0)))
    told = InformedHead(end, (1, 1, 1), shares_little)
    monkeypatch.setattr(search, "refine_one_head", lambda *_: told)
    start = compose(TRUTH, from_parameters(Parameters((1, 1, 1), (1, 1, 1)), (0, 0, 0)))
    refined = refine_affine(
        head.scan(EYE, noise=0.005),
        head.scan(TRUTH, noise=30.0, contrast=lambda shares: 400 * np.abs(shares - 0.8)),
        start,
        fixed_brain=head.brain(EYE),
        moving_brain=head.brain(TRUTH),
        dof=6,
    )
    assert refined.similarity == similarity
    assert np.allclose(refined.fixed_to_moving, end) == (similarity == INFORMATION)


def compared(overlap, correlation, residual):
    """Return what one direction of a comparison says; both are alike."""
    nothing = np.zeros((12, 12))
    residuals = np.full(1000, residual, np.float32)
    return (Linearization(nothing, nothing, np.zeros(12), residuals, 1.0, correlation, correlation, overlap),) * 2


@pytest.mark.parametrize(
    ("overlap", "correlation", "improved"), [(0.33, 0.6, True), (0.33, 0.5, False), (0.2, 0.6, False)]
)
def test_a_part_of_a_head_may_cover_less_of_another_where_it_fits_better(overlap, correlation, improved):
    """Two people of whom one is seen in part: an estimate that stretches it covers more, and costs less."""
    before, after = compared(0.4, 0.52, 0.5), compared(overlap, correlation, 0.45)
    assert total_cost(after, before) > total_cost(before, before)
    result = PyramidResult(EYE, EYE, 12, True, before, after, (1, 1, 1), None, 5.0)
    assert result.improved == improved
