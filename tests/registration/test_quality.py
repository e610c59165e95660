"""Quality assessment, on synthetic encodings."""

from dataclasses import replace

import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, nearest_dof
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import BRAIN_MM, affine_standard_error_mm
from stnreg.registration.anatomy.pose import CORNERS
from stnreg.registration.quality import (
    EXPLAINED,
    LEAST_CORRELATION,
    RefinementStats,
    agreement_beyond_shape,
    assess,
    told_apart,
)

GRID = Grid.from_parts((26, 32, 24), (6, 6, 6), (-75, -93, -69))
RADII = np.array([62.0, 82.0, 58.0])
STRUCTURES = np.random.default_rng(5).uniform(-0.55, 0.55, (40, 3)) * RADII
LIMITS = Calibration()
WELL = RefinementStats(correlation=0.6, same_person=False, mirrored=False)


def encoding(in_view=lambda points: np.ones(len(points), bool)) -> Encoding:
    """Return an encoding with sharp maps of the structures inside the field of view; nearest centroid per voxel."""
    z, y, x = np.indices(GRID.shape).reshape(3, -1)
    points = apply_affine(GRID.index_to_lps, np.stack([x, y, z], 1).astype(float))
    owner = 1 + ((points[:, None] - STRUCTURES) ** 2).sum(-1).argmin(1)
    owner[(np.linalg.norm(points / RADII, axis=1) > 1) | ~in_view(points)] = 0
    maps = (owner == np.arange(len(STRUCTURES) + 1)[:, None]).astype(np.float32)
    shown = np.r_[False, in_view(STRUCTURES)]
    centroids = np.where(shown[:, None], np.vstack([[np.nan] * 3, STRUCTURES]), np.nan)
    maps = maps.reshape(-1, *GRID.shape)
    weights, volumes = np.where(shown, 1.0, 0.0), np.full(len(shown), 1000.0)
    return Encoding(centroids, weights, maps, GRID, np.eye(4), 1.0, 1.0, volumes)


WHOLE = encoding()
HALF = encoding(lambda points: points[:, 1] < 0)
SLAB = encoding(lambda points: np.abs(points[:, 2] - 20) < 15)


def test_standard_error_equals_the_error_of_fits_with_noise():
    rng = np.random.default_rng(0)
    corners = CORNERS * BRAIN_MM
    for side in (HALF, SLAB):
        centroids = side.centroids_lps[~np.isnan(side.centroids_lps[:, 0])]
        squares = []
        for _ in range(300):
            found = fit_affine(centroids, centroids + rng.normal(0, 1.0, centroids.shape), np.ones(len(centroids)))
            squares.append(((apply_affine(found, corners) - corners) ** 2).sum(1).mean())
        assert affine_standard_error_mm(WHOLE, side) == pytest.approx(np.sqrt(np.mean(squares)), rel=0.1)


def test_standard_error_grows_with_truncation_and_is_symmetric():
    assert (
        affine_standard_error_mm(WHOLE, WHOLE)
        < LIMITS.whole_head_error_mm
        < affine_standard_error_mm(WHOLE, HALF)
        < affine_standard_error_mm(WHOLE, SLAB)
    )
    assert affine_standard_error_mm(HALF, WHOLE) == pytest.approx(affine_standard_error_mm(WHOLE, HALF), rel=1e-12)
    few = replace(WHOLE, centroids_lps=np.where(np.arange(41)[:, None] < 4, WHOLE.centroids_lps, np.nan))
    assert affine_standard_error_mm(WHOLE, few) == np.inf


def test_two_whole_heads_that_agree_are_accepted():
    for stats in (None, WELL):
        verdict = assess(WHOLE, WHOLE, np.eye(4), refinement=stats, estimated=True)
        assert verdict.passed
        assert verdict.reasons == ()
        assert verdict.score == pytest.approx(1, abs=0.01)


def test_half_a_head_is_accepted_after_refinement_only():
    alone = assess(WHOLE, HALF, np.eye(4), estimated=True)
    assert not alone.passed
    assert "only part of the brain is in the field of view" in alone.reasons[0]
    assert assess(WHOLE, HALF, np.eye(4)).passed, "a transform from elsewhere extrapolates nothing"
    assert assess(WHOLE, HALF, np.eye(4), refinement=WELL).passed


def test_where_two_people_correlate_little_structures_decide_if_both_images_show_them():
    little = replace(WELL, correlation=LIMITS.min_correlation - 0.01, explained=lambda: (0.8, EXPLAINED))
    assert assess(WHOLE, WHOLE, np.eye(4), dof=12, refinement=little).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), dof=12, refinement=replace(little, explained=None)).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), dof=12, refinement=replace(little, same_person=True)).passed
    assert not assess(WHOLE, HALF, np.eye(4), dof=12, refinement=little).passed, "part of a brain is not enough"
    off = from_parameters(Parameters((25.0, 0, 0)), np.zeros(3))
    assert "correlation" in assess(WHOLE, WHOLE, off, dof=12, refinement=little).reasons[-1]


def test_with_twelve_degrees_of_freedom_two_people_must_correlate_a_little():
    least = replace(WELL, correlation=LEAST_CORRELATION - 0.01, explained=lambda: (0.8, 0.8))
    (reason,) = assess(WHOLE, WHOLE, np.eye(4), dof=12, refinement=least).reasons
    assert "is 0.19; at least 0.20 is accepted" in reason


def test_below_twelve_degrees_of_freedom_structures_decide_about_two_people():
    little = replace(WELL, correlation=0.05, explained=lambda: (0.8, 0.8))
    assert assess(WHOLE, WHOLE, np.eye(4), dof=6, refinement=little).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), dof=6, refinement=replace(little, same_person=True)).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), dof=6, refinement=little, min_score=1.01).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), dof=6, refinement=replace(little, correlation=np.nan)).passed


def test_whether_structures_are_shown_is_asked_only_where_it_counts():
    def never():
        raise AssertionError("asked")

    for stats in (replace(WELL, correlation=0.45), replace(WELL, correlation=0.1, same_person=True)):
        assess(WHOLE, WHOLE, np.eye(4), refinement=replace(stats, explained=never))
    off = from_parameters(Parameters((25.0, 0, 0)), np.zeros(3))
    assert not assess(WHOLE, WHOLE, off, refinement=replace(WELL, correlation=0.25, explained=never)).passed


@pytest.mark.parametrize(("explained", "named"), [((0.1, 0.8), "fixed"), ((0.8, 0.1), "moving")])
@pytest.mark.parametrize("dof", [6, 12])
def test_a_skull_without_a_brain_is_rejected_by_its_name(explained, named, dof):
    skull = replace(WELL, correlation=0.24, explained=lambda: explained)
    (reason,) = assess(WHOLE, WHOLE, np.eye(4), dof=dof, refinement=skull).reasons
    assert reason.startswith(f"the {named} image does not show the structures")


def test_uncorrelated_intensities_are_rejected():
    little = replace(WELL, correlation=LIMITS.min_correlation - 0.01)
    between = replace(WELL, correlation=LIMITS.min_partial_correlation - 0.01)
    assert "brain is 0.29" in assess(WHOLE, WHOLE, np.eye(4), refinement=little).reasons[0]
    assert assess(WHOLE, WHOLE, np.eye(4), refinement=between).passed
    assert (
        "the part of the brain that both images show" in assess(WHOLE, HALF, np.eye(4), refinement=between).reasons[0]
    )
    assert assess(WHOLE, HALF, np.eye(4), refinement=replace(between, same_person=True)).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), refinement=replace(WELL, correlation=np.nan)).passed


def test_all_other_reasons_to_reject():
    off = from_parameters(Parameters((25.0, 0, 0)), np.zeros(3))
    assert "agreement of the structures" in assess(WHOLE, WHOLE, off).reasons[0]
    assert assess(WHOLE, WHOLE, off, 0.0).passed
    mirrored = replace(WELL, mirrored=True)
    assert "mirror" in assess(WHOLE, WHOLE, np.eye(4), refinement=mirrored).reasons[0]
    assert not any("mirror" in why for why in assess(WHOLE, WHOLE, off, refinement=mirrored).reasons), (
        "no head, no side"
    )
    assert "swaps left and right" in assess(WHOLE, WHOLE, np.diag([-1.0, 1, 1, 1])).reasons[-1]
    strange = replace(WHOLE, residual_mm=30.0)
    assert "the moving image are not placed as in a head" in assess(WHOLE, strange, np.eye(4)).reasons[0]
    speck = encoding(lambda points: np.linalg.norm(points, axis=1) < 25)
    assert "too little to assess" in assess(WHOLE, speck, np.eye(4)).reasons[0]


def another_head(head_to_lps: np.ndarray) -> Encoding:
    """Find the structures of another person, of another size and shape."""
    centroids = apply_affine(head_to_lps, WHOLE.centroids_lps)
    pose, grid = nearest_dof(head_to_lps, np.zeros(3), 7), Grid(GRID.size, head_to_lps @ GRID.index_to_lps)
    return replace(WHOLE, centroids_lps=centroids, maps_grid=grid, template_to_lps=pose)


SMALLER = from_parameters(Parameters((4, -6, 3), (5, -3, 8), (0.85, 0.78, 0.88), (0.02, 0, -0.03)), np.zeros(3))
ANOTHER = another_head(SMALLER)


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_size_and_shape_that_the_dof_leave_are_no_failure(dof):
    nearest = nearest_dof(SMALLER, np.zeros(3), dof)
    verdict = assess(WHOLE, ANOTHER, nearest, dof=dof, refinement=WELL)
    assert verdict.passed
    assert verdict.score == pytest.approx(1, abs=0.02)
    if dof != 9:  # scales along the fixed axes are not scales along the moving ones
        score, _ = agreement_beyond_shape(ANOTHER, WHOLE, np.linalg.inv(nearest), dof)
        assert score == pytest.approx(verdict.score, abs=1e-6)


def test_with_all_dof_size_and_shape_that_are_wrong_count():
    rigid = nearest_dof(SMALLER, np.zeros(3), 6)
    assert assess(WHOLE, ANOTHER, rigid).score < assess(WHOLE, ANOTHER, rigid, dof=6).score - 0.2


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
@pytest.mark.parametrize(
    "off",
    [Parameters((20.0, 0, 0)), Parameters((0, 0, 0), (0, 20, 0)), Parameters((0, 0, 0), (0, 0, 0), (1.35, 1.35, 1.35))],
)
def test_a_wrong_transform_is_a_failure_at_any_dof(dof, off):
    away = compose(nearest_dof(SMALLER, np.zeros(3), dof), from_parameters(off, np.zeros(3)))
    assert not assess(WHOLE, ANOTHER, away, dof=dof).passed
    assert not assess(WHOLE, WHOLE, from_parameters(off, np.zeros(3)), dof=dof).passed


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_an_exchange_of_left_and_right_is_a_failure_at_any_dof(dof):
    mirrored = compose(nearest_dof(SMALLER, np.zeros(3), dof), np.diag([-1.0, 1, 1, 1]))
    assert "swaps left and right" in assess(WHOLE, ANOTHER, mirrored, dof=dof).reasons[-1]


@pytest.mark.parametrize("value", [0.7195, 0.71999, 0.72 - 1e-9, np.nextafter(0.72, 0)])
def test_a_number_and_the_bound_that_it_misses_are_written_apart(value):
    found, bound = told_apart(value, 0.72)
    assert found != bound
    assert float(found) < float(bound)
    assert len(found) == len(bound)
    assert told_apart(0.61, 0.72) == ("0.61", "0.72")


def test_messages_show_by_how_much_a_bound_is_missed():
    score = assess(WHOLE, WHOLE, np.eye(4)).score
    little = assess(WHOLE, WHOLE, np.eye(4), score + 0.0004).reasons[0]
    assert f"{score:.4f}" in little
    assert f"{score + 0.0004:.4f}" in little
    almost = replace(WELL, correlation=LIMITS.min_correlation - 0.0003)
    assert "is 0.2997; at least 0.3000 is" in assess(WHOLE, WHOLE, np.eye(4), refinement=almost).reasons[0]
    strange = replace(WHOLE, residual_mm=LIMITS.max_residual_mm + 0.04)
    assert "(9.04 mm off; at most 9.00 mm is" in assess(strange, WHOLE, np.eye(4)).reasons[0]


def test_an_image_without_a_head_is_rejected_with_the_model_that_takes_it():
    verdict = assess(WHOLE, replace(WHOLE, has_head=False), np.eye(4))
    assert verdict.passed is False
    assert verdict.reasons == ("no head was found in the moving image; for other objects use --model separate",)


def test_one_person_may_agree_less_than_two_people():
    off = from_parameters(Parameters((9.0, 4, 0)), np.zeros(3))
    score = assess(WHOLE, WHOLE, off).score
    assert LIMITS.min_one_person_score < score < LIMITS.min_score
    one = RefinementStats(correlation=0.8, same_person=True, mirrored=False)
    assert assess(WHOLE, WHOLE, off, refinement=one).passed
    assert not assess(WHOLE, WHOLE, off, refinement=replace(one, same_person=False)).passed
    assert not assess(WHOLE, WHOLE, off, LIMITS.min_score, refinement=one).passed, "a user's limit holds for all"
    far = from_parameters(Parameters((40.0, 0, 0)), np.zeros(3))
    assert not assess(WHOLE, WHOLE, far, refinement=one).passed
    strange = replace(WHOLE, fit_residual_mm=1.3 * LIMITS.accept_mm)  # a phantom that was scanned twice
    assert not assess(strange, strange, off, refinement=one).passed


def test_one_head_in_two_contrasts_may_agree_less_only_near_its_structures():
    one = RefinementStats(correlation=0.4, same_person=True, mirrored=False)
    aside = from_parameters(Parameters((0, 8.0, 0)), np.zeros(3))
    blurry = replace(WHOLE, maps_grid=Grid(GRID.size, aside @ GRID.index_to_lps))  # agrees less in any place
    near, off = (from_parameters(Parameters((x, 0.0, 0)), np.zeros(3)) for x in (2.0, 7.0))
    blurred = [assess(WHOLE, blurry, place, refinement=one) for place in (near, off)]
    assert all(LIMITS.min_one_person_score < verdict.score < LIMITS.min_score for verdict in blurred)
    assert [verdict.passed for verdict in blurred] == [True, False]
    assert assess(WHOLE, blurry, off, refinement=replace(one, correlation=0.8)).passed


@pytest.mark.parametrize("dof", [6, 12])
def test_a_head_of_another_shape_than_any_person_has_is_rejected(dof):
    animal = from_parameters(Parameters((0, 0, 0), (0, 0, 0), (0.55, 0.95, 0.7)), np.zeros(3))
    other = replace(another_head(animal), volumes_mm3=WHOLE.volumes_mm3 * np.linalg.det(animal))
    transform = animal if dof == 12 else nearest_dof(animal, np.zeros(3), dof)
    verdict = assess(WHOLE, other, transform, dof=dof, refinement=WELL)
    assert any("is each a human head" in reason for reason in verdict.reasons)
    one = replace(WELL, correlation=0.9, same_person=True)  # one head in two files with wrong voxel sizes
    assert not any("human head" in reason for reason in assess(WHOLE, other, animal, dof=dof, refinement=one).reasons)


def test_one_person_beyond_doubt_may_show_less_of_the_brain():
    small = encoding(lambda points: np.linalg.norm(points, axis=1) < 38)
    clear = RefinementStats(correlation=0.9, same_person=True, mirrored=False)
    assert assess(WHOLE, small, np.eye(4), refinement=clear).passed
    for less in (replace(clear, correlation=0.75), replace(clear, same_person=False)):
        assert "too little to assess" in assess(WHOLE, small, np.eye(4), refinement=less).reasons[0]
