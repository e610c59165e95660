from itertools import combinations

import numpy as np
import pytest

from stnreg.errors import GeometryError
from stnreg.geometry.affine import compose, invert, random_affine, to_parameters
from stnreg.geometry.lie import exp_affine
from stnreg.registration.series.agreement import agreeing_maps, mean_space, recentred, reduced, residuals_mm

RIGID = {"scale": 1.0, "shear": 0.0}
POINTS = np.random.default_rng(5).uniform(-60, 60, (200, 3))


def maps_of(count, seed=0, **ranges):
    rng = np.random.default_rng(seed)
    return [random_affine(rng, **(RIGID | ranges)) for _ in range(count)]


def edges_of(maps, noise=0.0, seed=1):
    rng = np.random.default_rng(seed)
    edges = {}
    for i, j in combinations(range(len(maps)), 2):
        off = np.zeros((4, 4))
        turn = noise * rng.standard_normal(3) / 60
        off[:3, :3] = [[0, -turn[2], turn[1]], [turn[2], 0, -turn[0]], [-turn[1], turn[0], 0]]
        off[:3, 3] = noise * rng.standard_normal(3)
        edges[i, j] = compose(maps[j], exp_affine(off), invert(maps[i]))
    return edges


def distance_mm(a, b):
    off = (a - b)[:3]
    return np.linalg.norm(POINTS @ off[:, :3].T + off[:, 3], axis=1).mean()


def test_pairs_that_agree_are_kept():
    maps = maps_of(4)
    edges = edges_of(maps)
    found = agreeing_maps(edges, dict.fromkeys(edges, 1.0), 4)
    for (i, j), i_to_j in edges.items():
        assert distance_mm(compose(found[j], invert(found[i])), i_to_j) < 1e-9
    assert max(residuals_mm(edges, found, POINTS).values()) < 1e-9


def test_more_pairs_reduce_the_error():
    maps = maps_of(6)
    edges = edges_of(maps, noise=0.1)
    found = agreeing_maps(edges, dict.fromkeys(edges, 1.0), 6)
    before = np.mean([distance_mm(one, compose(maps[j], invert(maps[i]))) for (i, j), one in edges.items()])
    after = np.mean(
        [distance_mm(compose(found[j], invert(found[i])), compose(maps[j], invert(maps[i]))) for i, j in edges]
    )
    assert after < 0.7 * before


def test_the_result_does_not_depend_on_the_order():
    maps, order = maps_of(4), [2, 0, 3, 1]
    edges = edges_of(maps, noise=0.2)
    weights = {pair: 1.0 + k for k, pair in enumerate(edges)}
    found = agreeing_maps(edges, weights, 4)
    place = {old: new for new, old in enumerate(order)}
    turned = {(place[i], place[j]): one for (i, j), one in edges.items()}
    again = agreeing_maps(turned, {(place[i], place[j]): weights[i, j] for i, j in edges}, 4)
    for i, j in combinations(range(4), 2):
        one = compose(found[j], invert(found[i]))
        assert distance_mm(one, compose(again[place[j]], invert(again[place[i]]))) < 1e-6


def test_a_visit_without_a_pair_is_refused():
    with pytest.raises(GeometryError, match="connect"):
        agreeing_maps({(0, 1): np.eye(4)}, {(0, 1): 1.0}, 3)


def test_sizes_average_out_in_the_mean_space():
    maps = maps_of(3, scale=1.1)
    poses = maps_of(3, seed=9, rotation_deg=1.0, translation_mm=1.0)
    rigid = [compose(one, pose) for one, pose in zip(maps_of(3), poses, strict=True)]
    found = mean_space(maps, rigid)
    assert abs(sum(np.log(np.linalg.det(one[:3, :3])) for one in found)) < 1e-9
    shifted = mean_space([compose(one, random_affine(np.random.default_rng(3))) for one in maps], rigid)
    assert max(distance_mm(a, b) for a, b in zip(found, shifted, strict=True)) < 1e-6


def test_recentring_takes_out_what_all_have_in_common():
    maps, drift = maps_of(3), random_affine(np.random.default_rng(4), **RIGID)
    moved = [compose(one, drift) for one in maps]
    assert max(distance_mm(a, b) for a, b in zip(recentred(moved, maps), maps, strict=True)) < 1e-6


def test_nine_degrees_scale_along_the_axes_of_the_visit():
    (one,) = maps_of(1, scale=1.1, shear=0.02)
    back = invert(reduced(one, np.zeros(3), 9))
    assert np.abs(to_parameters(back, (0, 0, 0)).shear).max() < 1e-9
    assert np.abs(np.array(to_parameters(reduced(one, np.zeros(3), 6), (0, 0, 0)).scale) - 1).max() < 1e-9
