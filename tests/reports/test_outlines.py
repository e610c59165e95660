from pathlib import Path

import numpy as np
import pytest
from brains import BRAIN_CENTER, BRAIN_RADIUS_MM, brain

import stnreg
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.reports.outlines import BRAIN, GROUPS, HEAD, OUTSIDE, brain_box, codes_on, outline_of, outlines_of
from stnreg.transforms.affine import Affine
from stnreg.transforms.sampling import voxel_points

EXAMPLES = Path(__file__).parents[2] / "examples"
GRID = Grid.cube(BRAIN_CENTER, 60, 2.5)


def test_codes_are_those_of_the_regions():
    away = np.linalg.norm(voxel_points(GRID) - BRAIN_CENTER[:, None, None, None], axis=0)
    values = (away < 60).astype(np.float32)
    codes = codes_on(GRID, values, brain(), Affine(np.eye(4)))
    assert (codes[away < 10] == BRAIN + 1).all()
    assert (codes[(away > 15) & (away < BRAIN_RADIUS_MM - 2)] == BRAIN).all()
    assert (codes[(away > BRAIN_RADIUS_MM + 2) & (away < 55)] == HEAD).all()
    assert (codes[away > 63] == OUTSIDE).all()
    assert set(np.unique(codes_on(GRID, values, None, Affine(np.eye(4))))) == {OUTSIDE, HEAD}


def test_a_moved_brain_is_found_where_it_came_from(pair):
    moved = pair[2]
    codes = [codes_on(GRID, np.zeros(GRID.shape), brain(m), Affine(m)) for m in (np.eye(4), moved)]
    assert (codes[0] != codes[1]).mean() < 0.01


def test_the_box_is_that_of_the_brain_and_stays_in_the_image(pair):
    fixed = pair[0]
    low, high = brain_box(fixed, brain(), 8)
    assert np.allclose(low, BRAIN_CENTER - BRAIN_RADIUS_MM - 8, atol=4)
    assert np.allclose(high, BRAIN_CENTER + BRAIN_RADIUS_MM + 8, atol=4)
    edges = fixed.grid.corners_lps()
    low, high = brain_box(fixed, brain(), 500)
    assert np.allclose(low, edges.min(axis=0))
    assert np.allclose(high, edges.max(axis=0))


def test_all_groups_are_structures_of_the_network():
    names = [name.removesuffix("_L").removesuffix("_R") for name in find("anatomy").card["names"]]
    assert {name for members in GROUPS.values() for name in members} <= {*names}


@pytest.fixture(scope="module")
def result():
    return stnreg.register(EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz", threads=2)


def test_a_registration_has_outlines_that_agree(result):
    outlines = outlines_of(result)
    low, high = outlines[0].corners_of_brain()
    grid = Grid.cube((low + high) / 2, 50, 4.0)
    fixed, moving = (
        codes_on(grid, np.zeros(grid.shape), outline, transform)
        for outline, transform in zip(outlines, (Affine(np.eye(4)), result.transform), strict=True)
    )
    both, either = (fixed >= BRAIN) & (moving >= BRAIN), (fixed >= BRAIN) | (moving >= BRAIN)
    assert both.sum() / either.sum() > 0.85
    assert {*np.unique(fixed)} == {0, *range(BRAIN, BRAIN + 1 + len(GROUPS))}


def test_groups_share_the_maps_out(result):
    encoding = result.encodings[0]
    outline = outline_of(encoding, result.model.card["names"])
    assert np.allclose(outline.maps.sum(axis=0), encoding.maps.sum(axis=0), atol=1e-4)
    center = apply_affine(outline.grid.index_to_lps, (np.array(outline.grid.size)[None] - 1) / 2).T
    assert outline.at(center).sum() == pytest.approx(1 - outline.maps[0, 19:21, 19:21, 15:17].mean(), abs=0.6)
    assert (outline.at(center + 1000) == 0).all()
