import numpy as np
import pytest

from stnreg.geometry.affine import (
    Parameters,
    apply_affine,
    compose,
    from_parameters,
    invert,
    mean_error_mm,
    nearest_dof,
    random_affine,
)
from stnreg.geometry.grid import Grid
from stnreg.registration.refine import Refined, one_person, refine_affine
from stnreg.registration.refine.anchor import Structures
from stnreg.registration.refine.gauss_newton import minimize
from stnreg.registration.refine.linearization import linearize_both, total_cost
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, middle, take_samples
from stnreg.registration.refine.search import PASSES

TRUTH = random_affine(np.random.default_rng(11), translation_mm=15, rotation_deg=20, scale=1.1, shear=0.05)
OFF = from_parameters(Parameters((2, -2.5, 2), (2, -3, 2.5), (1.02, 1.02, 1.02)), (0, 0, 0))
START = compose(TRUTH, OFF)
EYE = np.eye(4)


def refine(fixed, moving, start, **options) -> Refined:
    return refine_affine(fixed[0], moving[0], start, fixed_brain=fixed[1], moving_brain=moving[1], **options)


@pytest.fixture(scope="module")
def fixed(head):
    return head.scan(EYE, noise=0.01), head.brain(EYE)


@pytest.fixture(scope="module")
def moving(head):
    return head.scan(TRUTH, noise=0.01), head.brain(TRUTH)


@pytest.fixture(scope="module")
def refined(fixed, moving):
    return refine(fixed, moving, START)


def test_finds_a_known_affine(refined, head):
    assert mean_error_mm(refined.fixed_to_moving, TRUTH, head.points()) < 0.05
    assert refined.improved
    assert refined.same_person
    assert refined.same_contrast
    assert refined.dof == 12
    assert refined.local_correlation > 0.9 > refined.start_correlation
    assert 3 < refined.motion_mm < 8
    assert not refined.notes


def test_exchanged_images_give_the_inverse(refined, fixed, moving, head):
    back = refine(moving, fixed, invert(START))
    assert mean_error_mm(invert(back.fixed_to_moving), refined.fixed_to_moving, head.points()) < 0.01


def test_one_thread_gives_the_same(refined, fixed, moving, head):
    single = refine(fixed, moving, START, threads=1)
    assert mean_error_mm(single.fixed_to_moving, refined.fixed_to_moving, head.points()) < 1e-6


def test_another_contrast(fixed, head):
    moving = head.scan(TRUTH, noise=0.01, contrast=lambda shares: 900 - 700 * shares), head.brain(TRUTH)
    found = refine(fixed, moving, START)
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.1
    assert not found.same_contrast


def test_surroundings_of_the_brain_count_where_they_have_one_contrast(fixed, head, monkeypatch):
    used = []
    with_brain = one_person.with_checkerboard_brain
    monkeypatch.setattr(one_person, "with_checkerboard_brain", lambda *a: used.append(a) or with_brain(*a))
    for contrast, count in ((lambda shares: 900 * shares, 2), (lambda shares: 900 - 700 * shares, 0)):
        used.clear()
        moving = head.scan(TRUTH, noise=0.01, contrast=contrast), head.brain(TRUTH)
        assert refine(fixed, moving, START).same_person
        assert len(used) == count


def test_the_last_pass_goes_on_until_it_has_converged(head, monkeypatch):
    # Intensities and their squares: each step corrects a part of what is left.
    contrasts = (lambda shares: shares, lambda shares: 900 * (shares - 0.8) ** 2)
    sides = tuple(
        (head.scan(move, noise=noise, contrast=contrast), Region(head.brain(move)))
        for move, noise, contrast in zip((EYE, TRUTH), (0.01, 0.3), contrasts, strict=True)
    )
    outcomes, run_pass = [], one_person.run_pass
    monkeypatch.setattr(one_person, "run_pass", lambda *a: outcomes.append(run_pass(*a)) or outcomes[-1])
    one_person.refine_finest(sides, START, 12, 0.5, None)
    (outcome,) = outcomes
    assert outcome.steps > 6
    assert outcome.last_step_mm < one_person.LAST.stop_mm


@pytest.mark.parametrize("dof", [6, 7, 9])
def test_fewer_degrees_of_freedom(fixed, head, dof):
    truth = nearest_dof(TRUTH, (0, 0, 0), dof)
    moving = head.scan(truth, noise=0.01), head.brain(truth)
    found = refine(fixed, moving, compose(truth, OFF), dof=dof)
    assert mean_error_mm(found.fixed_to_moving, truth, head.points()) < 0.05
    np.testing.assert_allclose(found.fixed_to_moving, nearest_dof(found.fixed_to_moving, (0, 0, 0), dof), atol=1e-9)
    if dof == 6:
        linear = found.fixed_to_moving[:3, :3]
        np.testing.assert_allclose(linear.T @ linear, np.eye(3), atol=1e-12)


def test_one_head_that_was_moved_rigidly_gets_six_degrees_of_freedom(fixed, head):
    truth = nearest_dof(TRUTH, (0, 0, 0), 6)
    found = refine(fixed, (head.scan(truth, noise=0.01), head.brain(truth)), compose(truth, OFF))
    assert found.dof == 6
    assert not found.notes
    assert mean_error_mm(found.fixed_to_moving, truth, head.points()) < 0.03


def test_a_small_scale_that_the_images_show_is_kept(fixed, head):
    truth = compose(nearest_dof(TRUTH, (0, 0, 0), 6), np.diag([1.01, 0.99, 1.0, 1.0]))
    found = refine(fixed, (head.scan(truth, noise=0.01), head.brain(truth)), compose(truth, OFF))
    assert found.dof == 12
    assert mean_error_mm(found.fixed_to_moving, truth, head.points()) < 0.05


def test_structures_hold_two_people_where_the_intensities_disagree(fixed, other_head):
    moving = other_head.scan(TRUTH, noise=0.01), other_head.brain(TRUTH)
    points = other_head.points()[:80]
    structures = Structures(points, apply_affine(TRUTH, points), np.full(len(points), 0.3))
    alone, held = refine(fixed, moving, TRUTH), refine(fixed, moving, TRUTH, structures=structures)
    assert not held.same_person
    off = [mean_error_mm(one.fixed_to_moving, TRUTH, other_head.points()) for one in (alone, held)]
    assert off[1] < off[0] / 2


def test_structures_do_not_bias_one_person(fixed, moving, head):
    points = head.points()[:80]
    structures = Structures(points, apply_affine(START, points), np.full(len(points), 0.3))
    found = refine(fixed, moving, START, structures=structures)
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.05


def test_two_people_are_distinguished_from_one(fixed, other_head):
    found = refine(fixed, (other_head.scan(TRUTH, noise=0.01), other_head.brain(TRUTH)), TRUTH)
    assert not found.same_person
    assert found.local_correlation < 0.6


def test_a_slab_supports_fewer_degrees_of_freedom(fixed, moving, head):
    (image, grid), brain = moving
    cut = np.eye(4)
    cut[2, 3] = 30
    slab = image[30:37], Grid((*grid.size[:2], 7), grid.index_to_lps @ cut)
    found = refine(fixed, (slab, brain), START)
    assert found.dof == 7
    assert "7 degrees of freedom" in found.notes[0]


def costs(images, regions, *maps):
    """Return the cost of each map at the finest level, at the scales of the first."""
    sampled = []
    for image, region in zip(images, regions, strict=True):
        (level,) = build_levels(image, [PASSES[-1].spacing_mm], region)
        sampled.append(SampledImage(take_samples(level, PASSES[-1].samples), level))
    linearized = [linearize_both(*sampled, matrix, middle(*sampled, matrix)) for matrix in maps]
    return [total_cost(each, linearized[0]) for each in linearized]


def test_the_cost_falls_in_noise(fixed):
    grid = Grid.cube((0, 0, 0), 40, 5.0)
    noise = np.random.default_rng(0).standard_normal(grid.shape).astype(np.float32)
    found = refine_affine(fixed[0], (noise, grid), EYE, fixed_brain=fixed[1])
    before, after = costs((fixed[0], (noise, grid)), (Region(fixed[1]), Region()), EYE, found.fixed_to_moving)
    assert found.improved
    assert after < before


@pytest.mark.parametrize("off", [OFF, invert(OFF)])
def test_iterations_that_diverge_keep_the_initial_transform(fixed, moving, monkeypatch, off):
    def astray(one, other, start, **options):
        return minimize(one, other, compose(start, off), **options | {"max_steps": 0})

    monkeypatch.setattr(one_person, "minimize", astray)
    found = refine(fixed, moving, TRUTH)
    assert not found.improved
    np.testing.assert_allclose(found.fixed_to_moving, TRUTH, atol=1e-9)
    assert found.local_correlation == found.start_correlation > 0.9
    assert found.motion_mm < 1e-6
    assert found.notes == ("the refinement did not improve the initial transform, which is kept",)


@pytest.mark.parametrize("dof", [6, 12])
def test_a_start_that_is_as_good_as_it_gets_needs_no_note(fixed, dof):
    found = refine(fixed, fixed, EYE, dof=dof)
    np.testing.assert_allclose(found.fixed_to_moving, EYE, atol=1e-6)
    assert not found.notes


def test_without_overlap_the_initial_transform_is_kept(fixed, head):
    away = compose(from_parameters(Parameters((900, 0, 0)), (0, 0, 0)), TRUTH)
    found = refine(fixed, (head.scan(TRUTH), head.brain(TRUTH)), away)
    assert not found.improved
    np.testing.assert_allclose(found.fixed_to_moving, away, atol=1e-9)
    assert found.notes == ("the refinement did not improve the initial transform, which is kept",)


def test_a_hole_can_be_excluded(fixed, moving, head):
    (image, grid), brain = moving
    hole = np.zeros(grid.shape, bool)
    hole[28:44, 28:44, 20:36] = True
    broken = np.where(hole, 0, image)
    found = refine(fixed, ((broken, grid), brain), START, moving_exclude=(hole, grid))
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.1
    assert found.overlap < 0.99


def test_masks_replace_brain_maps(fixed, moving, head):
    masks = {f"{side}_mask": (scan[1][0] > 0.5, scan[1][1]) for side, scan in (("fixed", fixed), ("moving", moving))}
    found = refine_affine(fixed[0], moving[0], START, **masks)
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.06


def test_works_without_a_brain_map(fixed, moving, head):
    found = refine_affine(fixed[0], moving[0], START)
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.3
