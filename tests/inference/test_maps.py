"""What is made of maps: poses that a cut field of view does not pull along."""

import numpy as np

from stnreg.inference.maps import MapNetwork, fit_template


def test_a_structure_out_of_view_does_not_move_the_others():
    points = np.random.default_rng(6).uniform(0, 100, (30, 3))
    template = np.vstack([[np.nan] * 3, points])
    volumes = np.array([np.nan, *[900.0] * 30])
    network = MapNetwork(np.asarray, (8, 8, 8), 4.0, template, np.ones(31), volumes)
    found, seen = template.copy(), volumes.copy()
    found[1:8, 0] += 15.0  # a plane has cut seven structures down to a third, and their centroids with them
    seen[1:8] /= 3
    pose, _ = fit_template(network, found, np.ones(31), seen)
    assert np.abs(pose - np.eye(4)).max() < 0.02
    assert np.abs(fit_template(network, found, np.ones(31))[0] - np.eye(4)).max() > 0.2
