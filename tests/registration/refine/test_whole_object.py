import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.registration.refine.whole_object import refine_objects
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.moves import RANGES

TRUTH = from_parameters(Parameters((6.0, -9.0, 4.0), (7.0, -4.0, 9.0), (1.05, 0.96, 1.0)), (0, 0, 0))
NEAR = from_parameters(Parameters((0.0, 0.0, 0.0), (2.0, -1.0, 3.0)), (0, 0, 0))


@pytest.fixture(scope="module")
def pair(head):
    return head.scan(np.eye(4), noise=0.02), head.scan(TRUTH, noise=0.02)


def test_a_known_affine_is_found_from_afar(pair, head):
    found = refine_objects(*pair, [NEAR], threads=1)
    assert found.improved
    assert found.same_person
    assert found.dof == 12
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.3
    assert found.there_and_back_mm is None


def test_the_best_of_several_starts_is_taken(pair, head):
    lost = from_parameters(Parameters((0, 0, 0), (0, 0, 150)), (0, 0, 0))
    found = refine_objects(*pair, [lost, NEAR], threads=1)
    assert mean_error_mm(found.fixed_to_moving, TRUTH, head.points()) < 0.3
    assert found.there_and_back_mm > 5


def test_exchanging_the_images_inverts_the_result(pair, head):
    there = refine_objects(*pair, [NEAR], threads=1).fixed_to_moving
    back = refine_objects(*pair[::-1], [invert(NEAR)], threads=2).fixed_to_moving
    assert mean_error_mm(there @ back, np.eye(4), head.points()) < 0.02


def test_an_animal_is_registered_as_a_head_is(pair, head):
    small = np.diag([0.06, 0.06, 0.06, 1.0])
    shrunk = [(array, Grid(grid.size, small @ grid.index_to_lps)) for array, grid in pair]
    found = refine_objects(*shrunk, [small @ NEAR @ invert(small)], threads=1)
    assert found.dof == 12
    assert mean_error_mm(invert(small) @ found.fixed_to_moving @ small, TRUTH, head.points()) < 0.3


@pytest.mark.parametrize("dof", [6, 7, 9])
def test_fewer_degrees_of_freedom_stay_fewer(pair, dof):
    linear = refine_objects(*pair, [np.eye(4)], dof=dof, threads=1).fixed_to_moving[:3, :3]
    gram = linear.T @ linear
    if dof < 9:
        assert gram == pytest.approx(np.eye(3) * gram[0, 0], abs=1e-9)
    assert gram - np.diag(np.diag(gram)) == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert (dof == 6) == (gram[0, 0] == pytest.approx(1, abs=1e-9))


def test_damaged_cubes_are_registered_to_a_fraction_of_a_voxel():
    recipe, rng = CubeRecipe(RANGES["cubes"], 64), np.random.default_rng(4)
    made = recipe.paint(recipe.plan("test", 0, rng), rng)
    images = [(image.array, image.grid) for image in (made.fixed, made.moving)]
    turn = from_parameters(Parameters((4, -3, 2), (4, -5, 3)), (0, 0, 0))
    found = refine_objects(*images, [made.fixed_to_moving @ turn], threads=1)
    corners = 30.0 * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    assert mean_error_mm(found.fixed_to_moving, made.fixed_to_moving, corners) < 1.0


def test_nothing_to_refine_is_an_error(pair):
    with pytest.raises(DataError, match="at least one affine"):
        refine_objects(*pair, [])
