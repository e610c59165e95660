from dataclasses import replace

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.theta import theta_from_affine
from stnreg.images.volume import Volume
from stnreg.models.card import find
from stnreg.preprocessing.initial_transform import center_of_foreground
from stnreg.preprocessing.pipeline import cube_grid
from stnreg.registration.pairnet.predict import OpenPass, predict_pair


def head(fixed_to_moving=None, grid=None):
    """A bright lopsided ellipsoid about the origin of fixed space, seen in moving space."""
    grid = grid or Grid.from_parts((48, 40, 44), (4.0, 5.0, 4.0), (-90.0, -95.0, -80.0), np.eye(3))
    z, y, x = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    points = np.stack([x, y, z, np.ones_like(x)], -1) @ grid.index_to_lps.T
    x, y, z, _ = np.moveaxis(points @ invert(np.eye(4) if fixed_to_moving is None else fixed_to_moving).T, -1, 0)
    array = np.exp(-((x / 40) ** 2) - (y / 55) ** 2 - (z / 45) ** 2) + np.exp(-(((x - 30) ** 2 + y**2 + z**2) / 300))
    return Volume(array=array.astype(np.float32), grid=grid)


class Answers:
    """A session that gives one theta after the other, and remembers what it was shown."""

    def __init__(self, *thetas):
        self.thetas, self.shown = list(thetas), []

    def run(self, names, feed):
        self.shown.append(feed["pair"])
        return [np.asarray(self.thetas[min(len(self.shown), len(self.thetas)) - 1], np.float32)[None]]


IDENTITY = np.eye(3, 4)
TRUTH = from_parameters(Parameters((12.0, -20.0, 7.0), (5.0, -8.0, 10.0), (1.1, 0.95, 1.0)), (0, 0, 0))


def test_a_right_answer_becomes_the_right_matrix(network):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    fixed, moving = head(), head(TRUTH)
    cube = cube_grid(fixed.grid, 32, 8.0)
    # Both images lie on one grid, so the start is the identity and the moving cube is the fixed one.
    session = Answers(theta_from_affine(TRUTH, cube, cube), IDENTITY)
    estimate = predict_pair(fixed, moving, [OpenPass(weights, session)])
    assert np.allclose(estimate.fixed_to_moving, TRUTH, atol=1e-3)
    assert len(estimate.steps) == len(estimate.mse) == 4
    assert estimate.mse[1] < 0.05 * estimate.mse[0]
    # From the second pass on the network sees the two together.
    before, after = (np.square(pair[0, 0] - pair[0, 1]).mean() for pair in session.shown[:2])
    assert after < 0.05 * before


def test_updates_compose_in_the_frame_of_the_fixed_cube(network):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    fixed, moving = head(), head(TRUTH)
    cube = cube_grid(fixed.grid, 32, 8.0)
    half = from_parameters(Parameters((6.0, -10.0, 3.0), (2.0, -4.0, 5.0)), (0, 0, 0))
    rest = invert(half) @ TRUTH  # fixed_to_moving = half @ rest: the later answer acts on a fixed point first
    session = Answers(theta_from_affine(half, cube, cube), theta_from_affine(rest, cube, cube), IDENTITY)
    estimate = predict_pair(fixed, moving, [OpenPass(weights, session)])
    assert np.allclose(estimate.steps[2], TRUTH, atol=1e-3)


def test_another_grid_of_the_same_head_changes_nothing(network):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    fixed = head()
    turned = Grid.from_parts((44, 48, 40), (4.0, 4.0, 5.0), (82.0, -90.0, 100.0), [[0, -1, 0], [0, 0, 1], [-1, 0, 0]])
    moving = head(TRUTH, turned)
    start = np.eye(4)
    start[:3, 3] = moving.grid.center_lps - fixed.grid.center_lps
    cube = cube_grid(fixed.grid, 32, 8.0)
    theta = theta_from_affine(invert(start) @ TRUTH, cube, cube)
    estimate = predict_pair(fixed, moving, [OpenPass(weights, Answers(theta, IDENTITY))])
    assert np.allclose(estimate.steps[0], start)
    assert np.allclose(estimate.fixed_to_moving, TRUTH, atol=1e-3)


def test_the_start_is_kept_where_the_network_does_harm(network):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    worse = IDENTITY.copy()
    worse[:, 3] = 0.4
    estimate = predict_pair(head(), head(), [OpenPass(weights, Answers(worse))])
    assert np.array_equal(estimate.fixed_to_moving, estimate.steps[0])


@pytest.mark.parametrize("theta", [IDENTITY * 0.1, IDENTITY * [[-1], [1], [1]], IDENTITY * np.nan])
def test_a_collapse_a_reflection_and_no_number_end_the_cascade(network, theta):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    estimate = predict_pair(head(), head(TRUTH), [OpenPass(weights, Answers(theta))])
    assert len(estimate.steps) == 1


def test_a_given_start_is_where_it_starts(network):
    weights = find(str(network(size=32, spacing_mm=8.0)))
    estimate = predict_pair(head(), head(TRUTH), [OpenPass(weights, Answers(IDENTITY))], initial=TRUTH, passes=1)
    assert np.allclose(estimate.steps, TRUTH)


def test_a_network_of_another_kind_is_refused(network):
    weights = replace(find(str(network())), kind="anatomy")
    with pytest.raises(DataError, match="expected a pair network"):
        predict_pair(head(), head(), [OpenPass(weights, Answers(IDENTITY))])


def test_a_last_pass_starts_from_the_estimate_in_a_box_about_the_foreground(network):
    weights, last = (
        find(str(network(size=32, spacing_mm=8.0))),
        find(str(network(name="last", size=24, spacing_mm=6.0))),
    )
    last = replace(last, kind="pair-last")
    grid = Grid.from_parts((60, 50, 52), (4.0, 5.0, 4.0), (-90.0, -140.0, -112.0), np.eye(3))  # not about the head
    fixed, moving = head(grid=grid), head(TRUTH, grid)
    half = from_parameters(Parameters((6.0, -10.0, 3.0), (2.0, -4.0, 5.0)), (0, 0, 0))
    rest = invert(half) @ TRUTH
    cube = cube_grid(fixed.grid, 32, 8.0)
    box = Grid.cube(center_of_foreground(fixed), 24, 6.0)
    first = Answers(theta_from_affine(half, cube, cube), IDENTITY)
    moved_box = Grid(box.size, half @ box.index_to_lps)
    finer = Answers(theta_from_affine(TRUTH, box, moved_box), IDENTITY)
    estimate = predict_pair(fixed, moving, [OpenPass(weights, first), OpenPass(last, finer)])
    assert np.allclose(estimate.steps[0], half, atol=1e-3)
    assert np.allclose(estimate.fixed_to_moving, half @ rest, atol=1e-3)
    assert finer.shown[0].shape == (1, 2, 24, 24, 24)
    assert len(finer.shown) == 2  # the second moved nothing, so there is no third
    assert len(first.shown) == 3
    middle = np.average(np.indices((24,) * 3).reshape(3, -1), axis=1, weights=finer.shown[0][0, 0].ravel())
    assert np.allclose(middle, 11.5, atol=1.0)
