"""`--model separate` end to end: refined and assessed by default, bare on request."""

from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.errors import UsageProblem
from stnreg.images.volume import Volume
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.moves import RANGES

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIR = (str(EXAMPLES / "fixed.nii.gz"), str(EXAMPLES / "moving.nii.gz"))


@pytest.fixture(scope="module")
def cubes():
    recipe, rng = CubeRecipe(RANGES["cubes"], 64), np.random.default_rng(4)
    return recipe.paint(recipe.plan("test", 0, rng), rng)


def test_heads_are_refined_and_assessed():
    found = stnreg.register(*PAIR, model="separate", threads=2)
    assert found.refined is not None
    assert found.verdict.passed is True
    assert found.verdict.score == found.refined.local_correlation
    default = stnreg.register(*PAIR, threads=2)
    center = found.fixed.grid.center_lps
    apart = (found.fixed_to_moving - default.fixed_to_moving)[:3] @ np.append(center, 1)
    assert np.linalg.norm(apart) < 8  # whole heads against brains, of two people


def test_the_bare_network_is_neither_refined_nor_assessed():
    found = stnreg.register(*PAIR, model="affine", refine=False, threads=1)
    assert found.refined is None
    assert found.verdict.passed is None
    with pytest.raises(UsageProblem, match="masks"):
        stnreg.register(*PAIR, model="affine", refine=False, fixed_mask=PAIR[0])


def test_the_default_refuses_cubes_and_names_the_model_that_takes_them(cubes):
    found = stnreg.register(cubes.fixed, cubes.moving, threads=1)
    assert found.verdict.passed is False
    assert "no head was found in the fixed image" in found.verdict.reasons[0]
    assert "--model separate" in found.verdict.reasons[0]
    assert found.refined is None
    taken = stnreg.register(cubes.fixed, cubes.moving, model="separate-synthetic", threads=1)
    corners = np.array([[a, b, c, 1.0] for a in (-25, 25) for b in (-25, 25) for c in (-25, 25)]).T
    assert np.linalg.norm((taken.fixed_to_moving - cubes.fixed_to_moving) @ corners, axis=0).mean() < 1.0


def test_an_empty_image_is_rejected():
    fixed = stnreg.register(*PAIR, model="separate", refine=False, threads=1).fixed
    noise = np.random.default_rng(0).random(fixed.array.shape, dtype=np.float32)
    found = stnreg.register(fixed, Volume(noise, fixed.grid, path="noise"), model="separate", threads=2)
    assert found.verdict.passed is False
