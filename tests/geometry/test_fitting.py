"""Closed-form fits: exact on exact points, symmetric, never a reflection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.geometry.affine import apply_affine, invert, random_affine
from stnreg.geometry.fitting import fit_affine, fit_similarity


def _points(seed: int, count: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=40, size=(count, 3))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_affine_fit_recovers_the_affine(seed):
    a_to_b = random_affine(np.random.default_rng(seed), center_lps=np.zeros(3))
    a = _points(seed)
    found = fit_affine(a, apply_affine(a_to_b, a))
    assert np.abs(apply_affine(found, a) - apply_affine(a_to_b, a)).max() < 1e-6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 5))
def test_similarity_both_ways_is_the_inverse(seed, noise_mm):
    rng = np.random.default_rng(seed)
    a = _points(seed)
    b = 1.2 * a[:, [1, 2, 0]] + 10 + rng.normal(scale=noise_mm, size=a.shape)
    weights = rng.uniform(0.1, 1, len(a))
    forward, backward = fit_similarity(a, b, weights), fit_similarity(b, a, weights)
    assert np.abs(forward @ backward - np.eye(4)).max() < 1e-9


def test_similarity_never_reflects():
    a = _points(1)
    a_to_b = fit_similarity(a, a * (-1, 1, 1))
    assert np.linalg.det(a_to_b[:3, :3]) > 0


def test_rigid_fit_has_no_scale():
    a = _points(2)
    rotation = fit_similarity(a, 1.5 * a, scale=False)[:3, :3]
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-12


def test_weight_zero_leaves_a_point_out():
    a = _points(3)
    b = a + np.array([3.0, -2.0, 1.0])
    b[0] += 100
    weights = np.ones(len(a))
    weights[0] = 0
    assert fit_affine(a, b, weights)[:3, 3] == pytest.approx((3, -2, 1))


def test_ridge_pulls_to_the_similarity():
    a = _points(4)
    b = a * (1.2, 1.0, 0.8)
    free, held = fit_affine(a, b), fit_affine(a, b, ridge=1e9)
    assert np.abs(held - fit_similarity(a, b)).max() < 1e-6
    assert np.diag(free)[:3] == pytest.approx((1.2, 1.0, 0.8))
    assert np.abs(invert(free) @ free - np.eye(4)).max() < 1e-9
