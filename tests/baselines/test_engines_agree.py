"""Every engine that is installed finds a known move, and answers in one form."""

import numpy as np
import pytest

from stnreg.baselines.engines import EngineMissing
from stnreg.baselines.run import align
from stnreg.errors import DataError, GeometryError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume

MOVE = from_parameters(Parameters((6.0, -4.0, 5.0), (4.0, -6.0, 7.0)), (0, 0, 0))
QUICK = ["sitk-affine", "sitk-rigid", "ants-fast", "greedy", "elastix-rigid", "flirt", "niimath", "niftyreg"]
OBLIQUE = from_parameters(Parameters(rotation_deg=(6, -9, 12)), (0, 0, 0))[:3, :3]
CENTER = np.array([5.0, -10.0, 20.0])  # LPS mm
# Greedy and ANTs draw samples from the clock: one run of Greedy in ten ends far off, the next one does not.
RUNS = {"greedy": 5, "ants-fast": 5}


def _textured_head(size: int, direction: np.ndarray, move: np.ndarray, rng: np.random.Generator) -> Volume:
    """Scan an ellipsoid with texture of 14 to 45 mm, 3 mm voxels."""
    waves = np.random.default_rng(3)
    per_mm = waves.normal(size=(40, 3))
    per_mm *= (2 * np.pi / waves.uniform(14, 45, 40) / np.linalg.norm(per_mm, axis=1))[:, None]
    phase = waves.uniform(0, 2 * np.pi, 40)
    grid = Grid.cube(CENTER, size, 3.0, direction)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
    points = apply_affine(invert(move) @ grid.index_to_lps, index)
    inside = np.clip(12 - 12 * np.linalg.norm((points - CENTER) / (62, 75, 58), axis=-1), 0, 1)
    array = inside * (500 + 25 * np.cos(points @ per_mm.T + phase).sum(-1)) + rng.normal(0, 10, grid.shape)
    return Volume(array.astype(np.float32), grid, path="head")


@pytest.fixture(scope="module")
def heads():
    """A head and the same one moved, on an oblique and a RAS grid, each with noise of its own."""
    rng = np.random.default_rng(4)
    poses = (60, OBLIQUE, np.eye(4)), (64, np.diag([-1.0, -1.0, 1.0]), MOVE)
    return [_textured_head(*pose, rng) for pose in poses]


@pytest.mark.parametrize("method", QUICK)
def test_a_known_move_is_found(method, heads):
    points = CENTER + np.random.default_rng(0).uniform(-30, 30, (200, 3))
    try:
        found = [align(*heads, method, threads=1) for _ in range(RUNS.get(method, 1))]
    except EngineMissing as missing:
        pytest.skip(str(missing))
    assert min(mean_error_mm(each.fixed_to_moving, MOVE, points) for each in found) < 0.5
    if found[0].recipe.dof == 6:
        linear = found[0].fixed_to_moving[:3, :3]
        assert np.allclose(linear.T @ linear, np.eye(3), atol=1e-6)


def test_the_same_bits_twice(heads):
    first, second = (align(*heads, "sitk-rigid", threads=1).fixed_to_moving for _ in range(2))
    assert np.array_equal(first, second)


def test_what_no_engine_takes_is_refused(phantom, grids_by_name, sheared_grid):
    fixed = phantom.volume(grids_by_name["LPS"])
    with pytest.raises(GeometryError, match="right angles"):
        align(fixed, phantom.volume(sheared_grid))
    with pytest.raises(UsageProblem, match="sitk-affine"):
        align(fixed, fixed, "nonsense")
    with pytest.raises(UsageProblem, match="part of its recipe"):
        align(fixed, fixed, "greedy", metric="mi")


def test_an_engine_that_gives_up_says_so(phantom, grids_by_name):
    """Two slices cannot be smoothed into levels; ITK's own reason reaches the user."""
    thin = Grid.from_parts((40, 40, 2), (4, 4, 4), (0, 0, 0))
    with pytest.raises(DataError, match="gave up"):
        align(phantom.volume(thin), phantom.volume(thin), "sitk-rigid")
