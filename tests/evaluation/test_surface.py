import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stnreg.evaluation import surface
from stnreg.geometry.grid import Grid

quick = settings(deadline=None, max_examples=30)
SPACING = (0.9, 1.5, 3.0)


def grid_of(shape, spacing=SPACING):
    return Grid.from_parts(shape[::-1], spacing, (3.0, -20.0, 7.0), np.eye(3))


def ball(shape, center, radius):
    return sum((x - c) ** 2 for x, c in zip(np.indices(shape), center, strict=True)) <= radius**2


masks = npst.arrays(bool, (5, 6, 7), elements=st.booleans()).filter(np.any)


@quick
@given(masks, masks)
def test_distances_agree_with_medpy(a, b):
    binary = pytest.importorskip("medpy.metric.binary", reason="needs medpy: pip install 'stnreg[peers]'")
    distances = surface.surface_distances(a, b, grid_of(a.shape))
    zyx = SPACING[::-1]
    assert surface.hausdorff_mm(distances) == pytest.approx(binary.hd(a, b, zyx), abs=0.01)
    assert surface.hd95_mm(distances) == pytest.approx(binary.hd95(a, b, zyx), abs=0.01)
    assert surface.assd_mm(distances) == pytest.approx(binary.assd(a, b, zyx), abs=0.01)
    directed = [binary.asd(a, b, zyx), binary.asd(b, a, zyx)]
    assert surface.modified_hausdorff_mm(distances) == pytest.approx(max(directed), abs=0.01)


@quick
@given(masks)
def test_a_mask_is_nowhere_from_itself_and_the_order_does_not_matter(a):
    grid = grid_of(a.shape)
    assert surface.hausdorff_mm(surface.surface_distances(a, a, grid)) == pytest.approx(0, abs=1e-5)
    b = np.roll(a, 1, axis=0)
    there, back = surface.surface_distances(a, b, grid), surface.surface_distances(b, a, grid)
    for measure in (surface.hausdorff_mm, surface.hd95_mm, surface.assd_mm, surface.modified_hausdorff_mm):
        assert measure(there) == pytest.approx(measure(back), abs=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hd95_is_near_surface_distance_on_smooth_shapes():
    """Another definition: the larger of two directed percentiles, weighed by area, of a surface between voxels."""
    theirs = pytest.importorskip("surface_distance", reason="needs surface_distance: pip install 'stnreg[peers]'")
    a, b = ball((40, 40, 40), (19, 19, 19), 12), ball((40, 40, 40), (21, 20, 17), 14)
    ours = surface.surface_distances(a, b, grid_of(a.shape, (1.0, 1.0, 1.0)))
    measured = theirs.compute_surface_distances(a, b, (1.0, 1.0, 1.0))
    assert surface.hd95_mm(ours) == pytest.approx(theirs.compute_robust_hausdorff(measured, 95), abs=0.5)
    assert surface.hausdorff_mm(ours) == pytest.approx(theirs.compute_robust_hausdorff(measured, 100), abs=0.5)


def test_hausdorff_is_between_surfaces_not_solids():
    """A small ball in the middle of a big one: solid to solid, as ITK measures, would be less."""
    big, small = ball((41, 41, 41), (20, 20, 20), 18), ball((41, 41, 41), (20, 20, 20), 3)
    distances = surface.surface_distances(big, small, grid_of(big.shape, (1.0, 1.0, 1.0)))
    assert surface.hausdorff_mm(distances) == pytest.approx(15, abs=0.6)
    assert distances.moved_to_fixed.min() > 13


def test_known_shift_in_mm_along_each_axis():
    a = np.zeros((20, 20, 20), bool)
    a[5:10, 5:10, 5:10] = True
    for axis, spacing in zip((2, 1, 0), SPACING, strict=True):
        distances = surface.surface_distances(a, np.roll(a, 3, axis), grid_of(a.shape))
        assert surface.hausdorff_mm(distances) == pytest.approx(3 * spacing, abs=1e-5)


def test_labels_are_measured_as_their_masks():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 5, (6, 7, 8)) for _ in range(2))
    grid = grid_of(a.shape)
    measured = list(surface.label_surface_distances(a, b, grid, np.array([1, 4, 77])))
    assert [label for label, _ in measured] == [1, 4, 77]
    for label, distances in measured:
        alone = surface.surface_distances(a == label, b == label, grid)
        np.testing.assert_array_equal(distances.fixed_to_moved, alone.fixed_to_moved)
        np.testing.assert_array_equal(distances.moved_to_fixed, alone.moved_to_fixed)
        assert distances.defined == (label != 77)


def test_threads_change_nothing():
    a, b = ball((20, 20, 20), (9, 9, 9), 6), ball((20, 20, 20), (11, 10, 8), 7)
    one, two = (surface.surface_distances(a, b, grid_of(a.shape), threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.fixed_to_moved, two.fixed_to_moved)
    np.testing.assert_array_equal(one.moved_to_fixed, two.moved_to_fixed)


def test_distance_to_nothing_is_undefined():
    a, nothing = np.ones((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    distances = surface.surface_distances(a, nothing, grid_of(a.shape))
    assert all(np.isnan(m(distances)) for m in (surface.hausdorff_mm, surface.hd95_mm, surface.assd_mm))


def test_direction_does_not_matter():
    a = np.zeros((6, 6, 6), bool)
    a[1:3, 1:4, 2:5] = True
    b = np.roll(a, 1, 0)
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, -1]])
    straight = surface.surface_distances(a, b, grid_of(a.shape))
    oblique = surface.surface_distances(a, b, Grid.from_parts((6, 6, 6), SPACING, (0, 0, 0), turn))
    np.testing.assert_allclose(straight.fixed_to_moved, oblique.fixed_to_moved)


def test_a_sheared_grid_is_measured_in_mm():
    a, b = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    a[1, 1, 1] = b[1, 2, 1] = True
    sheared = np.eye(4)
    sheared[0, 1] = 0.75
    distances = surface.surface_distances(a, b, Grid((4, 4, 4), sheared))
    assert surface.hausdorff_mm(distances) == pytest.approx(1.25)
