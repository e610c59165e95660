"""From what was seen of two images to a judged affine."""

from pathlib import Path

import numpy as np
import pytest

from stnreg.core.clock import Clock
from stnreg.geometry.affine import Parameters, from_parameters, mean_error_mm, nearest_dof
from stnreg.images.volume import load_volume
from stnreg.models.card import find
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.load import load as load_encoder
from stnreg.registration.estimate import align

EXAMPLES = Path(__file__).parents[2] / "examples"
SHEARED = from_parameters(Parameters((4, -3, 5), (6, 2, -8), (1.1, 0.95, 1.0), (0.05, 0, 0.02)), (0, 0, 0))


@pytest.fixture(scope="module")
def volumes():
    return tuple(load_volume(EXAMPLES / name) for name in ("fixed.nii.gz", "moving.nii.gz"))


@pytest.fixture(scope="module")
def images(volumes):
    return tuple((volume.array, volume.grid) for volume in volumes)


@pytest.fixture(scope="module")
def seen(volumes):
    return load_encoder(find("anatomy"), threads=2, device="cpu").encode_both(*volumes, 2)


@pytest.mark.parametrize("dof", [6, 7, 12])
def test_without_refinement_it_is_the_fit(images, seen, dof):
    found = align(images, seen, dof=dof, refine=False)
    np.testing.assert_array_equal(found.fixed_to_moving, fit_pair(*seen, dof=dof))
    assert found.refined is None
    assert found.seen is seen


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_a_start_takes_the_place_of_the_fit_with_the_degrees_of_freedom_that_were_asked_for(images, seen, dof):
    found = align(images, seen, SHEARED, dof=dof, refine=False)
    center = images[0][1].center_lps
    np.testing.assert_allclose(found.fixed_to_moving, nearest_dof(SHEARED, center, dof), atol=1e-12)


def test_the_refinement_has_the_last_word_and_the_verdict_hears_it(images, seen):
    clock = Clock()
    found, fitted = align(images, seen, clock=clock), align(images, seen, refine=False)
    np.testing.assert_array_equal(found.fixed_to_moving, found.refined.fixed_to_moving)
    moved = mean_error_mm(found.fixed_to_moving, fitted.fixed_to_moving, images[0][1].corners_lps())
    assert 0.01 < moved < 10
    assert found.verdict.passed
    assert list(clock.seconds) == ["fit", "refine", "verdict"]


def test_what_is_wrong_and_least_scores_are_refused(images, seen):
    turned = from_parameters(Parameters((0, 0, 0), (0, 0, 90)), images[0][1].center_lps)
    assert not align(images, seen, turned).verdict.passed
    assert not align(images, seen, min_score=0.999).verdict.passed
