import numpy as np
import pytest
from PIL import Image, ImageFont

from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.deformation import GROW_RGB, LIMIT, LINES_MM, SHRINK_RGB, draw_deformation, draw_legend, lines, tint
from stnreg.reports.figure import plane_grids, write_qc_png
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import voxel_points

GRID = Grid.from_parts((40, 44, 42), (3.0, 3.0, 3.0), (-60.0, -66.0, -63.0))


@pytest.fixture
def fixed():
    return Volume(np.full(GRID.shape, 50, np.float32), GRID)


def warp(stretch=0.0, shift=0.0):
    """Return a map that stretches about the origin, and moves along x."""
    vectors = (stretch * voxel_points(GRID)).astype(np.float32)
    vectors[0] += shift
    return DisplacementField(vectors, GRID)


def place_of_line(covered, grid):
    """Return the fixed x, LPS mm, of the line nearest the middle of an axial plane, at a row between lines."""
    y = grid.index_to_lps[1, 3] + grid.spacing[1] * np.arange(covered.shape[0])
    row = covered[np.argmax(np.abs(y / LINES_MM - np.round(y / LINES_MM)))]
    x = grid.index_to_lps[0, 3] + grid.spacing[0] * np.arange(covered.shape[1])
    near = np.abs(x) < LINES_MM / 2 - 0.5
    return float((x * row)[near].sum() / row[near].sum())


def test_the_grid_is_straight_without_a_warp_and_moves_with_it(fixed):
    grid = plane_grids(fixed)[2]
    assert place_of_line(lines(warp(), grid), grid) == pytest.approx(0, abs=0.1)
    # Fixed points go 2 mm towards the left to where the line is, so that it is drawn 2 mm to the right.
    assert place_of_line(lines(warp(shift=2.0), grid), grid) == pytest.approx(-2, abs=0.1)


def test_growth_is_red_and_shrinking_blue(fixed):
    grids = plane_grids(fixed)
    greys = [np.full((*grid.shape[1:], 3), 100, np.uint8) for grid in grids]
    for stretch, more, less in ((0.1, 0, 2), (-0.1, 2, 0), (-2.0, 2, 0)):  # the last turns space inside out
        _, (_, planes) = draw_deformation(greys, warp(stretch), grids)
        for plane in planes:
            middle = plane[plane.shape[0] // 2, plane.shape[1] // 2].astype(int)
            assert middle[more] > middle[less] + 20
    assert all((grey == 100).all() for grey in greys)
    _, (_, planes) = draw_deformation(greys, warp(), grids)
    assert all((plane == 100).all() for plane in planes)


def test_the_ends_of_the_scale_are_half_and_twice_the_volume():
    assert np.exp(LIMIT) == pytest.approx(2)
    grey = np.zeros((1, 3, 3), np.uint8)
    low, middle, high = tint(grey, np.array([[-LIMIT, 0, 3 * LIMIT]]))[0]
    assert (middle == 0).all()
    assert low == pytest.approx(0.8 * np.array(SHRINK_RGB), abs=1)
    assert high == pytest.approx(0.8 * np.array(GROW_RGB), abs=1)


@pytest.mark.parametrize(("room_px", "drawn"), [(500, True), (250, True), (150, False)])
def test_the_scale_keeps_to_its_room(room_px, drawn):
    sheet = Image.new("RGB", (600, 30))
    draw_legend(sheet, 590 - room_px, 590, 5, ImageFont.load_default(13))
    columns = np.flatnonzero(np.asarray(sheet).any((0, 2)))
    assert bool(len(columns)) == drawn
    if drawn:
        assert columns.min() > 590 - room_px
        assert columns.max() < 592


def test_a_sheet_has_two_rows_more_and_takes_any_transform(fixed, tmp_path):
    field = warp(0.05, 3.0)
    for name, transform, more in (
        ("matrix", np.eye(4), {}),
        ("affine", Affine(np.eye(4)), {}),
        ("zero", warp(), {}),
        ("warp", field, {"warp": field}),
    ):
        write_qc_png(tmp_path / name, fixed, fixed, transform, ["title"], **more)
    assert (tmp_path / "matrix").read_bytes() == (tmp_path / "affine").read_bytes()
    with Image.open(tmp_path / "matrix") as plain, Image.open(tmp_path / "zero") as zero:
        assert np.abs(np.asarray(plain).astype(int) - np.asarray(zero)).mean() < 0.5
        with Image.open(tmp_path / "warp") as tall:
            assert tall.size[0] == plain.size[0]
            assert tall.size[1] > 1.4 * plain.size[1]
