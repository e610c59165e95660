import numpy as np
import pytest
from PIL import Image

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.reports.figure import EDGE_RGB, PLANES, draw_planes, plane_grids, write_qc_png

CENTER = np.array([5.0, -10.0, 20.0])
TURN = np.array([[0, 0.8, 0.6], [0, -0.6, 0.8], [1.0, 0, 0]])
SHIFT = from_parameters(Parameters((0.0, 0.0, 6.0)), np.zeros(3))  # the moving head stands 6 mm higher


def ball(moved=None, direction=None, spacing=(1.5, 1.5, 3.0)):
    """A ball of 30 mm radius about CENTER, on a grid of any direction."""
    direction = np.eye(3) if direction is None else direction
    size = (64, 60, 36)
    origin = CENTER - (direction * spacing) @ ((np.array(size) - 1) / 2)
    grid = Grid.from_parts(size, spacing, origin, direction)
    points = apply_affine(grid.index_to_lps, np.argwhere(np.ones(grid.shape))[:, ::-1])
    inside = np.linalg.norm(points - apply_affine(np.eye(4) if moved is None else moved, CENTER), axis=1) < 30
    return Volume(100 * inside.reshape(grid.shape).astype(np.float32), grid)


def middle_of_edges(plane, grid):
    rows, columns = np.nonzero((plane == EDGE_RGB).all(axis=2))
    assert len(rows) > 50
    index = np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2, 0])
    return apply_affine(grid.index_to_lps, index[None])[0]


@pytest.mark.parametrize("direction", [np.eye(3), TURN], ids=["upright", "turned"])
def test_edges_lie_where_the_transform_puts_them(direction):
    fixed, moving = ball(direction=direction), ball(SHIFT)
    grids = plane_grids(fixed)
    for transform, height in ((np.eye(4), 6.0), (SHIFT, 0.0)):
        planes = draw_planes(fixed, moving, transform, grids)
        for plane, grid, (_, across, down, *_) in zip(planes, grids, PLANES, strict=True):
            found = middle_of_edges(plane, grid) - CENTER
            assert found[across] == pytest.approx(0, abs=1.5)
            if down == 2:
                assert found[down] == pytest.approx(height, abs=1.5)


def test_the_head_is_up_and_the_patients_right_is_on_the_left():
    for grid, (_, across, down, left, *_) in zip(plane_grids(ball()), PLANES, strict=True):
        first = apply_affine(grid.index_to_lps, np.zeros((1, 3)))[0]
        last = apply_affine(grid.index_to_lps, np.array([[*grid.size]]) - 1.0)[0]
        assert (last - first)[across] > 0, "towards the left, or the back"
        assert left in "RA"
        assert ((last - first)[down] < 0) == (down == 2), "down is towards the feet, or the back"


def test_the_picture_is_a_png_with_both_rows(tmp_path):
    path = tmp_path / "qc.png"
    write_qc_png(path, ball(), ball(SHIFT), SHIFT, ["a title", "a second line"])
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size[0] > 600
        assert image.size[1] > 400
    first = path.read_bytes()
    write_qc_png(path, ball(), ball(SHIFT), SHIFT, ["a title", "a second line"])
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_written_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        write_qc_png(tmp_path / "nowhere" / "qc.png", ball(), ball(SHIFT), SHIFT)
