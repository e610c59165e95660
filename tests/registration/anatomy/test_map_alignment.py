"""Alignment of synthetic soft maps with a known transform; half of the head is outside the field of view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.map_alignment import fit_maps

GRID = Grid.from_parts((32, 38, 28), (5, 5, 5), (-77.5, -92.5, -67.5))
RADII_MM = np.array([62.0, 80.0, 55.0])
STRUCTURES = np.random.default_rng(3).uniform(-0.6, 0.6, (30, 3)) * RADII_MM
BRAIN = STRUCTURES[np.linalg.norm(STRUCTURES / RADII_MM, axis=1) < 0.9]
TRUTH = from_parameters(Parameters((6.0, -4.0, 5.0), (8.0, -12.0, 10.0), (1.1, 0.92, 1.05)), np.zeros(3))


def found_in(head_to_image=None, in_view=lambda points: np.ones(len(points), bool)) -> Encoding:
    """Return an encoding with soft borders between structures, for a head in another pose."""
    head_to_image = np.eye(4) if head_to_image is None else head_to_image
    z, y, x = np.meshgrid(*[np.arange(n) for n in GRID.shape], indexing="ij")
    index = np.stack([x, y, z], -1).reshape(-1, 3).astype(float)
    place = apply_affine(invert(head_to_image) @ GRID.index_to_lps, index)
    near = np.exp(-(np.linalg.norm(place[:, None] - STRUCTURES, axis=2) ** 2) / (2 * 12.0**2)) + 1e-9
    outside = 1 / (1 + np.exp((1 - np.linalg.norm(place / RADII_MM, axis=1)) * 30))
    brain = (1 - outside) * in_view(place)
    maps = np.concatenate([(1 - brain)[:, None], near / near.sum(1, keepdims=True) * brain[:, None]], axis=1)
    nothing = np.zeros(len(STRUCTURES) + 1)
    return Encoding(
        np.full((len(STRUCTURES) + 1, 3), np.nan), nothing, maps.T.reshape(-1, *GRID.shape).astype(np.float32),
        GRID, head_to_image, 0.0, 0.0, nothing,
    )  # fmt: skip


WHOLE, MOVED_HALF = found_in(), found_in(TRUTH, lambda points: points[:, 0] < 5.0)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-4, 4)] * 6), st.tuples(*[st.floats(0.95, 1.05)] * 3))
def test_a_few_millimetres_are_found_back_from_half_a_head_both_ways(numbers, scale):
    start = TRUTH @ from_parameters(Parameters(numbers[:3], numbers[3:], scale), np.zeros(3))
    found = fit_maps(WHOLE, MOVED_HALF, start)
    assert mean_error_mm(found, TRUTH, BRAIN) < 0.5
    assert mean_error_mm(fit_maps(MOVED_HALF, WHOLE, invert(start)) @ found, np.eye(4), BRAIN) < 0.01


@pytest.mark.parametrize("start", [TRUTH, TRUTH @ from_parameters(Parameters((300.0, 0, 0)), np.zeros(3))])
def test_the_optimum_is_kept(start):
    assert mean_error_mm(fit_maps(WHOLE, MOVED_HALF, start), start, BRAIN) < 0.5  # maps of 5 mm voxels


def test_empty_maps_are_no_error():
    nothing = found_in(in_view=lambda points: np.zeros(len(points), bool))
    assert np.array_equal(fit_maps(WHOLE, nothing, TRUTH), TRUTH)
