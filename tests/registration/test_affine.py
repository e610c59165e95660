"""From the encodings of two images to an assessed affine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stnreg.core.clock import Clock
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, mean_error_mm, nearest_dof
from stnreg.images.volume import Volume, load_volume
from stnreg.models.card import find
from stnreg.registration import affine
from stnreg.registration.affine import confirm_mirror, register_affine
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.load import load as load_encoder
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.refine.refined import Refined
from stnreg.registration.stages import StageResult
from stnreg.resampling.resample import resample

EXAMPLES = Path(__file__).parents[2] / "examples"
EYE, STRETCHED = np.eye(4), np.diag([1.1, 0.93, 1.03, 1.0])
SHEARED = from_parameters(Parameters((4, -3, 5), (6, 2, -8), (1.1, 0.95, 1.0), (0.05, 0, 0.02)), (0, 0, 0))


@pytest.fixture(scope="module")
def volumes():
    return tuple(load_volume(EXAMPLES / name) for name in ("fixed.nii.gz", "moving.nii.gz"))


@pytest.fixture(scope="module")
def pair(volumes):
    return ImagePair(*volumes)


@pytest.fixture(scope="module")
def encodings(volumes):
    return load_encoder(find("anatomy"), threads=2, device="cpu").encode_both(*volumes, 2)


def _options(**settings):
    return RegistrationOptions(threads=2, **settings)


@pytest.mark.parametrize("dof", [6, 7, 12])
def test_without_refinement_it_is_the_fit(pair, encodings, dof):
    found = register_affine(pair, encodings, None, _options(dof=dof, refine=False))
    np.testing.assert_array_equal(found.affine, fit_pair(*encodings, dof=dof))
    assert found.refined is None
    assert found.encodings is encodings


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_an_initial_transform_replaces_the_fit_with_the_dof_that_were_asked_for(pair, encodings, dof):
    found = register_affine(pair, encodings, SHEARED, _options(dof=dof, refine=False))
    center = pair.fixed.grid.center_lps
    np.testing.assert_allclose(found.affine, nearest_dof(SHEARED, center, dof), atol=1e-12)


def test_the_refined_transform_is_the_result_and_is_what_is_assessed(pair, encodings):
    clock = Clock()
    found = register_affine(pair, encodings, None, _options(), clock)
    fitted = register_affine(pair, encodings, None, _options(refine=False))
    np.testing.assert_array_equal(found.affine, found.refined.fixed_to_moving)
    moved = mean_error_mm(found.affine, fitted.affine, pair.fixed.grid.corners_lps())
    assert 0.01 < moved < 10
    assert found.verdict.passed
    assert list(clock.seconds) == ["fit", "refine", "verdict"]


def test_a_wrong_transform_and_a_score_below_the_least_are_rejected(pair, encodings):
    turned = from_parameters(Parameters((0, 0, 0), (0, 0, 90)), pair.fixed.grid.center_lps)
    assert not register_affine(pair, encodings, turned, _options()).verdict.passed
    assert not register_affine(pair, encodings, None, _options(min_score=0.999)).verdict.passed


@pytest.mark.parametrize(("dof", "other"), [(12, 6), (6, 12)])
@pytest.mark.parametrize(("again", "mirrored"), [(0.02, False), (0.2, True)])
def test_a_mirror_is_spoken_of_only_if_it_fits_better_at_both_numbers_of_dof(pair, dof, other, again, mirrored):
    asked = []

    def refined(gain, dof=dof):
        affine = np.eye(4)
        return Refined(affine, True, dof, False, False, 0.5, 0.4, 1.0, 0.5, 1.0, gain, (1,), {})

    def stage_of_dof(number):
        asked.append(number)
        stage = lambda pair, transform: StageResult(transform, refined(again, number))  # noqa: E731
        stage.name = "refine"
        return stage

    assert confirm_mirror(refined(0.1), pair, stage_of_dof, Clock()).mirrored == mirrored
    assert asked == [other]
    assert not confirm_mirror(refined(0.01), pair, stage_of_dof, Clock()).mirrored
    assert asked == [other], "where nothing is said of a mirror, nothing is confirmed"


@pytest.mark.parametrize("initial", [None, SHEARED])
@pytest.mark.parametrize("shape", [EYE, STRETCHED])
def test_two_shapes_are_not_taken_for_one_head_whatever_the_start(pair, encodings, monkeypatch, initial, shape):
    def refine(*images, across_contrasts, structures, **options):
        assert (structures is None) == (initial is not None)
        assert across_contrasts == (shape is EYE)
        return replace(done, fixed_to_moving=images[2])

    done = register_affine(pair, encodings, None, _options()).refined
    fixed = encodings[0]
    moving = replace(fixed, centroids_lps=apply_affine(shape, fixed.centroids_lps))
    monkeypatch.setattr(affine, "refine_affine", refine)
    register_affine(pair, (fixed, moving), initial, _options())


def test_what_exchanges_left_and_right_is_not_refined_but_rejected(pair, encodings):
    mirrored = np.diag([-1.0, 1, 1, 1]) @ fit_pair(*encodings)
    found = register_affine(pair, encodings, mirrored, _options())
    assert found.refined is None
    assert not found.verdict.passed
    assert any("left and right" in reason for reason in found.verdict.reasons)


@pytest.mark.parametrize("dof", [6, 12])
def test_a_head_without_a_brain_is_rejected(volumes, encodings, dof):
    """A skull is given structures; at six degrees of freedom these decided alone, and it was accepted."""
    fixed, moving = volumes
    encoding = encodings[1]
    brain = resample(encoding.brain, encoding.maps_grid, moving.grid, np.eye(4)) > 0.1
    hollow = Volume(np.where(brain, 0, moving.array).astype(moving.array.dtype), moving.grid)
    pair = ImagePair(fixed, hollow)
    both = load_encoder(find("anatomy"), threads=2, device="cpu").encode_both(fixed, hollow, 2)
    found = register_affine(pair, both, None, _options(dof=dof, min_score=0.6))
    assert found.verdict.passed is False
    assert "the moving image does not show the structures" in found.verdict.reasons[-1]
