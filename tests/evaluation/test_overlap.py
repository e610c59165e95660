import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stnreg.errors import DataError
from stnreg.evaluation.overlap import as_labels, count_labels, dice, jaccard

label_maps = npst.arrays(np.int32, (3, 4, 5), elements=st.integers(0, 6))
quick = settings(deadline=None, max_examples=40)


@quick
@given(label_maps)
def test_a_map_overlaps_itself_wholly(labels):
    counts = count_labels(labels, labels)
    assert (dice(counts) == 1).all()
    assert (jaccard(counts) == 1).all()


@quick
@given(label_maps, label_maps)
def test_overlap_is_symmetric_and_dice_and_jaccard_say_the_same(a, b):
    ab, ba = count_labels(a, b), count_labels(b, a)
    np.testing.assert_array_equal(dice(ab), dice(ba))
    np.testing.assert_allclose(dice(ab), 2 * jaccard(ab) / (1 + jaccard(ab)))


@quick
@given(label_maps, label_maps)
def test_overlap_agrees_with_simpleitk(a, b):
    counts = count_labels(a, b)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(x.astype(np.uint8)) for x in (a, b)))
    both = [k for k, f, m in zip(counts.labels, counts.fixed, counts.moved, strict=True) if f and m]
    for name, ours, theirs in (
        ("dice", dice, measures.GetDiceCoefficient),
        ("jaccard", jaccard, measures.GetJaccardCoefficient),
    ):
        values = dict(zip(counts.labels, ours(counts), strict=True))
        for label in both:
            assert values[label] == pytest.approx(theirs(int(label)), abs=1e-6), name


@quick
@given(label_maps, label_maps)
def test_overlap_agrees_with_medpy(a, b):
    binary = pytest.importorskip("medpy.metric.binary", reason="needs medpy: pip install 'stnreg[peers]'")
    counts = count_labels(a, b)
    for label, value, index in zip(counts.labels, dice(counts), jaccard(counts), strict=True):
        assert value == pytest.approx(binary.dc(a == label, b == label), abs=1e-6)
        assert index == pytest.approx(binary.jc(a == label, b == label), abs=1e-6)


def test_a_label_that_neither_map_holds_has_no_dice():
    counts = count_labels(np.array([1, 1]), np.array([1, 0])).select([1, 9])
    value, missing = dice(counts)
    assert value == pytest.approx(2 / 3)
    assert np.isnan(missing)


def test_label_maps_stored_as_floats_are_taken():
    assert as_labels(np.array([0.0, 2035.0])).tolist() == [0, 2035]


@pytest.mark.parametrize("array", [[0.5, 1], [-1, 2], [np.nan, 1], [0, 1e9]])
def test_what_is_no_label_map_is_refused(array):
    with pytest.raises(DataError, match=r"a\.nii: expected"):
        as_labels(np.array(array), "a.nii")


def test_maps_on_different_grids_are_refused():
    with pytest.raises(DataError, match="different grids"):
        count_labels(np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int))
