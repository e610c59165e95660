"""Chains: order, inverse, and what of them is linear."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain

GRID = Grid.cube((5, -10, 20), 40, 4.0)
MOVE = Affine(from_parameters(Parameters((7, -4, 11), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20)))


@given(st.from_type(Parameters), st.from_type(Parameters))
def test_a_point_meets_the_first_member_first(a, b):
    one, other = (Affine(from_parameters(p, (0, 0, 0))) for p in (a, b))
    chain = one.then(other)
    assert np.array_equal(chain.matrix, other.matrix @ one.matrix)
    point = np.array([10.0, 20, -30])
    assert np.allclose(chain.map_points(point), other.map_points(one.map_points(point)))
    assert np.abs(chain.inverse().map_points(chain.map_points(point)) - point).max() < 1e-8


def test_without_members_it_is_the_identity():
    assert np.array_equal(Chain().matrix, np.eye(4))
    assert np.array_equal(Chain().map_points([1.0, 2, 3]), [1, 2, 3])
    assert Chain().to_displacement(GRID).largest_mm() == 0


def test_a_chain_with_a_field_is_no_matrix(smooth):
    field = smooth(GRID)
    chain = field.then(MOVE).then(MOVE.inverse())
    assert chain.matrix is None
    assert len(chain.members) == 3
    assert [member.matrix is None for member in chain.simplified().members] == [True, False]


def test_it_is_inverted_member_by_member(smooth, inside, grid):
    chain = smooth(grid).then(MOVE)
    points = inside(grid)
    there = chain.map_points(points)
    assert np.abs(there - points).max() > 5
    assert np.linalg.norm(chain.inverse().map_points(there) - points, axis=1).max() < 0.005


def test_on_its_own_grid_it_is_sampled_without_loss(smooth, grid):
    field = smooth(grid)
    sampled = field.then(MOVE).to_displacement(grid)
    by_points = field.then(MOVE).map_points(np.moveaxis(Chain().map_voxels(grid), 0, -1))
    assert np.abs(np.moveaxis(Chain((sampled,)).map_voxels(grid), 0, -1) - by_points).max() < 1e-4


def test_warnings_are_kept():
    chain = Chain((Chain((MOVE,), ("one",)), MOVE), ("two",))
    assert set(chain.warnings) == {"one", "two"}
    assert chain.inverse().warnings == chain.warnings
