"""Quality assessment, on synthetic encodings."""

from dataclasses import replace

import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.anatomy.fit import BRAIN_MM, affine_standard_error_mm
from stnreg.registration.anatomy.pose import CORNERS
from stnreg.registration.quality import RefinementStats, assess

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
    assert "only part of the brain is in view" in alone.reasons[0]
    assert assess(WHOLE, HALF, np.eye(4)).passed, "a transform from elsewhere extrapolates nothing"
    assert assess(WHOLE, HALF, np.eye(4), refinement=WELL).passed


def test_uncorrelated_intensities_are_rejected():
    little = replace(WELL, correlation=LIMITS.min_correlation - 0.01)
    between = replace(WELL, correlation=LIMITS.min_partial_correlation - 0.01)
    assert "correlate by 0.29" in assess(WHOLE, WHOLE, np.eye(4), refinement=little).reasons[0]
    assert assess(WHOLE, WHOLE, np.eye(4), refinement=between).passed
    assert "what both images show" in assess(WHOLE, HALF, np.eye(4), refinement=between).reasons[0]
    assert assess(WHOLE, HALF, np.eye(4), refinement=replace(between, same_person=True)).passed
    assert not assess(WHOLE, WHOLE, np.eye(4), refinement=replace(WELL, correlation=np.nan)).passed


def test_all_other_reasons_to_reject():
    off = from_parameters(Parameters((25.0, 0, 0)), np.zeros(3))
    assert "agree by" in assess(WHOLE, WHOLE, off).reasons[0]
    assert assess(WHOLE, WHOLE, off, 0.0).passed
    mirrored = replace(WELL, mirrored=True)
    assert "mirror" in assess(WHOLE, WHOLE, np.eye(4), refinement=mirrored).reasons[0]
    assert not any("mirror" in why for why in assess(WHOLE, WHOLE, off, refinement=mirrored).reasons), (
        "no head, no side"
    )
    assert "exchanges left and right" in assess(WHOLE, WHOLE, np.diag([-1.0, 1, 1, 1])).reasons[-1]
    strange = replace(WHOLE, residual_mm=30.0)
    assert "the moving image does not lie as in a head" in assess(WHOLE, strange, np.eye(4)).reasons[0]
    speck = encoding(lambda points: np.linalg.norm(points, axis=1) < 25)
    assert "too little to assess" in assess(WHOLE, speck, np.eye(4)).reasons[0]
