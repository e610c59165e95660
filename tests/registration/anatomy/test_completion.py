"""The size and the shape that a transform of few degrees of freedom leaves, on encodings made by hand."""

from dataclasses import replace

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
)
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.completion import completed
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import fit_pair

GRID = Grid.from_parts((26, 32, 24), (6, 6, 6), (-75, -93, -69))
RADII_MM = np.array([62.0, 82.0, 58.0])
STRUCTURES = np.random.default_rng(5).uniform(-0.55, 0.55, (40, 3)) * RADII_MM
# From one head to a smaller, rounder one that lies another way.
TRUTH = from_parameters(Parameters((12, -9, 14), (10, -20, 30), (0.93, 0.84, 0.9), (0.03, -0.02, 0.04)), np.zeros(3))
MIDDLE = (0.0, 0.0, 0.0)


def encoding(head_to_lps: np.ndarray) -> Encoding:
    """Find every structure of a head where it is; the nearest one owns a voxel."""
    z, y, x = np.indices(GRID.shape).reshape(3, -1)
    points = apply_affine(GRID.index_to_lps, np.stack([x, y, z], 1).astype(float))
    owner = 1 + ((points[:, None] - STRUCTURES) ** 2).sum(-1).argmin(1)
    owner[np.linalg.norm(points / RADII_MM, axis=1) > 1] = 0
    maps = (owner == np.arange(len(STRUCTURES) + 1)[:, None]).astype(np.float32).reshape(-1, *GRID.shape)
    centroids = np.vstack([[np.nan] * 3, apply_affine(head_to_lps, STRUCTURES)])
    weights, volumes = np.r_[0.0, np.ones(len(STRUCTURES))], np.full(len(STRUCTURES) + 1, 1000.0)
    grid = Grid(GRID.size, head_to_lps @ GRID.index_to_lps)
    return Encoding(centroids, weights, maps, grid, nearest_dof(head_to_lps, MIDDLE, 7), 1.0, 1.0, volumes)


LARGE, SMALL = encoding(np.eye(4)), encoding(TRUTH)


@pytest.mark.parametrize("dof", [6, 7, 9])
def test_the_nearest_transform_becomes_the_affine_of_the_structures(dof):
    nearest = nearest_dof(fit_pair(LARGE, SMALL), MIDDLE, dof)
    found = completed(LARGE, SMALL, nearest, dof)
    assert mean_error_mm(nearest, TRUTH, STRUCTURES) > 0.5
    assert mean_error_mm(found, TRUTH, STRUCTURES) < 0.2
    assert map_agreement(LARGE, SMALL, found) > 0.98


@pytest.mark.parametrize("dof", [6, 7])
def test_with_the_images_exchanged_it_is_the_inverse(dof):
    away = from_parameters(Parameters((5, 8, -3), (20, 4, -9)), np.zeros(3))
    transform = compose(nearest_dof(TRUTH, MIDDLE, dof), away)
    there, back = completed(LARGE, SMALL, transform, dof), completed(SMALL, LARGE, invert(transform), dof)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("dof", [6, 7])
@pytest.mark.parametrize("away", [
    Parameters((15.0, 0, 0)), Parameters((0, 0, 0), (0, 25, 0)), Parameters((0, 0, 0), (0, 0, 0), (1.3, 1.3, 1.3)),
])  # fmt: skip
def test_what_is_misplaced_stays_misplaced(dof, away):
    """As far off from the affine of the structures as the transform is from the nearest one of as many dof."""
    wrong = from_parameters(away, np.zeros(3))
    if dof == 6:
        wrong = nearest_dof(wrong, MIDDLE, 6)
    nearest = nearest_dof(TRUTH, MIDDLE, dof)
    off_mm = mean_error_mm(compose(nearest, wrong), nearest, STRUCTURES)
    found = completed(LARGE, SMALL, compose(nearest, wrong), dof)
    assert mean_error_mm(found, TRUTH, STRUCTURES) == pytest.approx(off_mm, rel=0.15, abs=0.2)


def test_twelve_degrees_of_freedom_leave_nothing():
    transform = from_parameters(Parameters((15.0, 0, 0)), np.zeros(3))
    assert completed(LARGE, SMALL, transform, 12) is transform


def test_a_reflection_stays_a_reflection():
    mirrored = compose(nearest_dof(TRUTH, MIDDLE, 6), np.diag([-1.0, 1, 1, 1]))
    assert np.linalg.det(completed(LARGE, SMALL, mirrored, 6)[:3, :3]) < 0


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_where_the_structures_say_nothing_the_transform_stays():
    def nothing(of: Encoding) -> Encoding:
        return replace(of, centroids_lps=np.full_like(of.centroids_lps, np.nan))

    rigid = nearest_dof(TRUTH, MIDDLE, 6)
    np.testing.assert_array_equal(completed(nothing(LARGE), nothing(SMALL), rigid, 6), rigid)
