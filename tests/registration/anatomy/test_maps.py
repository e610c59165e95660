"""Fit of the template: a truncated field of view does not bias the pose."""

import numpy as np
import pytest

from stnreg.registration.anatomy.maps import MapNetwork, brightened, brightening, fit_template


def test_a_structure_out_of_view_does_not_move_the_others():
    points = np.random.default_rng(6).uniform(0, 100, (30, 3))
    template = np.vstack([[np.nan] * 3, points])
    volumes = np.array([np.nan, *[900.0] * 30])
    network = MapNetwork(np.asarray, (8, 8, 8), 4.0, template, np.ones(31), volumes)
    found, observed = template.copy(), volumes.copy()
    found[1:8, 0] += 15.0  # seven structures are truncated to a third, and their centroids are biased
    observed[1:8] /= 3
    pose = fit_template(network, found, np.ones(31), observed).template_to_lps
    assert np.abs(pose - np.eye(4)).max() < 0.02
    assert np.abs(fit_template(network, found, np.ones(31)).template_to_lps - np.eye(4)).max() > 0.2


def test_a_head_of_another_shape_fits_but_no_other_pose_does():
    points = np.random.default_rng(2).uniform(-60, 60, (40, 3))
    network = MapNetwork(np.asarray, (8, 8, 8), 4.0, np.vstack([[np.nan] * 3, points]), np.ones(41))

    def fit(observed):
        return fit_template(network, np.vstack([[np.nan] * 3, observed]), np.ones(41))

    wide = fit(points * (1.15, 0.95, 0.9) + points[:, [1, 2, 0]] * (0.05, 0, 0))
    assert wide.fit_residual_mm < wide.residual_mm / 2
    same, scaled = fit(points), fit(1.2 * points)
    assert max(same.fit_residual_mm, scaled.fit_residual_mm) < 1e-6
    swapped = fit(points[np.random.default_rng(3).permutation(40)])
    assert swapped.fit_residual_mm > 20


def test_a_brain_that_is_dark_beside_the_scalp_is_brightened():
    scan = np.full((16, 16, 16), 1.2, np.float32)
    scan[4:12, 4:12, 4:12] = np.linspace(0.05, 0.15, 8)
    maps = np.zeros((2, 8, 8, 8), np.float32)
    maps[1, 2:6, 2:6, 2:6] = 1
    maps[0] = 1 - maps[1]
    assert brightening(scan, maps) == 1.0, "too little of it to tell"
    big = np.kron(scan, np.ones((2, 2, 2), np.float32))
    factor = brightening(big, np.kron(maps, np.ones((1, 2, 2, 2), np.float32)))
    bright = brightened(big, factor)
    assert 0.8 < np.percentile(bright[8:24, 8:24, 8:24], 90) < 1.0
    assert bright.max() == pytest.approx(1.5)
    assert brightening(bright, np.kron(maps, np.ones((1, 2, 2, 2), np.float32))) == 1.0
