from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.register import register_series
from stnreg.resampling.resample import resample

EXAMPLES = Path(__file__).parents[3] / "examples"
OPTIONS = SeriesOptions(threads=1, device="cpu")
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def result(visits):
    return register_series(visits[0], NAMES, OPTIONS)


def test_known_moves_are_found(result, visits):
    _, maps = visits
    assert [visit.status for visit in result.visits] == ["kept"] * 3
    points = result.center_lps + np.random.default_rng(0).uniform(-50, 50, (100, 3))
    for i, j in combinations(range(3), 2):
        own = apply_affine(result.visits[i].space_to_visit, points)
        truth = compose(maps[j], invert(maps[i]))
        assert mean_error_mm(result.between(NAMES[i], NAMES[j]), truth, own) < 0.1
    assert result.moved_mm[-1] <= 0.01


def test_no_visit_has_the_grid_of_the_template(result):
    for visit in result.kept:
        assert not result.template.grid.is_close(visit.image.grid)
        moved = result.resampled(visit)
        assert moved.shape == result.template.array.shape
        assert np.isfinite(moved).all()
    assert np.corrcoef(result.resampled(result.kept[0]).ravel(), result.template.array.ravel())[0, 1] > 0.98


def test_the_order_of_the_visits_does_not_matter(result, visits):
    order = [2, 0, 1]
    again = register_series([visits[0][k] for k in order], [NAMES[k] for k in order], OPTIONS)
    for a, b in combinations(NAMES, 2):
        assert np.abs(result.between(a, b) - again.between(a, b)).max() < 1e-6
    assert np.abs(result.template.array - again.template.array).max() < 1e-3 * result.template.array.max()


def test_another_person_is_named_and_left_out(visits):
    found = register_series([*visits[0][:2], EXAMPLES / "moving.nii.gz", "nowhere.nii.gz"], None, OPTIONS)
    assert [visit.status for visit in found.visits] == ["kept", "kept", "left out", "error"]
    assert "another person" in found.visits[2].reason
    assert "no such file" in found.visits[3].reason


def test_a_turned_visit_is_used_and_a_slice_is_left_out(visits):
    scans, _ = visits
    head = scans[0]
    turned = resampled(head, Parameters((5, -8, 3), (180, 4, 6)))
    few = head.grid.size[2] // 2
    corner = np.eye(4)
    corner[2, 3] = few
    grid = Grid((*head.grid.size[:2], 3), head.grid.index_to_lps @ corner)
    thin = Volume(np.ascontiguousarray(head.array[few : few + 3]), grid, path="thin")
    found = register_series([*scans[:2], turned, thin], (*NAMES, "thin"), OPTIONS)
    assert [visit.status for visit in found.visits] == ["kept", "kept", "kept", "left out"]
    assert found.visits[3].reason


def resampled(head, parameters):
    center = head.grid.center_lps
    move = from_parameters(parameters, center)
    grid = Grid.cube(apply_affine(move, center), head.grid.size, float(head.grid.spacing[0]))
    return Volume(resample(head.array, head.grid, grid, invert(move)), grid, path="turned")


def test_scale_has_an_uncertainty_where_it_is_free(result, visits):
    scans, _ = visits
    found = register_series(scans, NAMES, SeriesOptions(dof=9, threads=1, device="cpu"))
    for visit in found.kept:
        scales, error = np.array(found.scale(visit)), visit.scale_error
        assert 0 < error.volume < 0.01
        assert (np.abs(scales - 1) < 5 * np.array(error.axes) + 5e-4).all()
    assert all(visit.scale_error is None for visit in result.kept)


def test_what_a_visit_ignores_has_no_influence(visits):
    scans, maps = visits
    point = apply_affine(scans[1].grid.lps_to_index @ maps[1] @ invert(maps[0]), scans[0].grid.center_lps)
    x, y, z = np.rint(point).astype(int)
    lesion = np.zeros(scans[1].array.shape, np.uint8)
    lesion[z - 4 : z + 5, y - 4 : y + 5, x - 4 : x + 5] = 1
    bright = Volume(np.where(lesion, 3 * scans[1].array.max(), scans[1].array), scans[1].grid, path="bright")
    options = SeriesOptions(threads=1, device="cpu", change=True)
    masks = {"b": Volume(lesion, scans[1].grid)}
    as_it_is = register_series(scans[:2], NAMES[:2], options, masks)
    changed = register_series([scans[0], bright], NAMES[:2], options, masks)
    points = as_it_is.center_lps + np.random.default_rng(0).uniform(-50, 50, (100, 3))
    a, b = (apply_affine(one.between("a", "b"), points) for one in (as_it_is, changed))
    assert np.linalg.norm(a - b, axis=1).mean() < 0.05
    first, second = (one.change_percent("brain", *one.kept)[0] for one in (as_it_is, changed))
    assert first == pytest.approx(second, abs=0.3)
    with pytest.raises(UsageProblem, match="no visit is named"):
        register_series(scans[:2], NAMES[:2], options, {"z": masks["b"]})


def test_two_people_make_no_series(visits):
    found = register_series([visits[0][0], EXAMPLES / "moving.nii.gz"], None, OPTIONS)
    assert found.template is None
    assert not found.kept
    assert all(visit.reason for visit in found.visits)


def test_wrong_use_is_refused(visits):
    with pytest.raises(UsageProblem, match="two visits"):
        register_series(visits[0][:1])
    with pytest.raises(UsageProblem, match="name of its own"):
        register_series(visits[0][:2], ["a", "a"])
    with pytest.raises(UsageProblem, match="12"):
        SeriesOptions(dof=12, change=True)
