"""Which options belong to which kind, and which anatomies to which split."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, UsageProblem
from stnreg.simulation.build import build_recipe, split_files

ALL = (2, 1, 1)


@pytest.mark.parametrize(
    ("kind", "options", "argument", "word"),
    [
        ("rotated", {}, "image", "needs a scan"),
        ("heads", {}, "labels", "needs label maps"),
        ("cubes", {"images": [Path("x.nii")]}, "image", "takes no image"),
        ("cubes", {"labels": [Path("x.nii")]}, "labels", "takes no labels"),
        ("affine", {"sizes": [64]}, "size", "heads and cubes"),
        ("affine", {"contrasts": ["t1"]}, "contrast", "heads only"),
        ("affine", {"follow_up": True}, "follow_up", "heads only"),
        ("rotated", {"ranges": {"translation_mm": 3.0}}, None, "rotation alone"),
        ("cubes", {"ranges": {"scale": -1.0}}, None, "0 or more"),
    ],
)
def test_options_that_do_not_fit_are_refused(kind, options, argument, word):
    with pytest.raises(UsageProblem, match=word) as refused:
        build_recipe(kind, ALL, **options)
    assert refused.value.argument == argument


def test_what_labels_can_be(head_file, tmp_path):
    assert build_recipe("heads", ALL, labels=[head_file.parent]) == build_recipe("heads", ALL, labels=[head_file])
    with pytest.raises(DataError, match="no images"):
        build_recipe("heads", ALL, labels=[tmp_path])
    with pytest.raises(UsageProblem, match="t3"):
        build_recipe("heads", ALL, labels=[head_file], contrasts=["t3"])
    with pytest.raises(UsageProblem, match="label map for each"):
        build_recipe("affine", ALL, images=[head_file, head_file], labels=[head_file])


def test_ranges_can_be_narrowed(head_file):
    recipe = build_recipe("rototranslated", ALL, images=[head_file], ranges={"rotation_deg": 10.0, "scale": None})
    assert (recipe.ranges.rotation_deg, recipe.ranges.translation_mm, recipe.ranges.scale) == (10.0, 30.0, 0.0)


@given(st.integers(1, 20), st.tuples(*[st.integers(0, 30)] * 3).filter(any))
def test_no_split_shares_an_anatomy_where_there_are_enough(count, counts):
    files = [f"{k:02d}" for k in range(count)]
    dealt = split_files(files, counts)
    wanted = [split for split, n in zip(dealt, counts, strict=True) if n]
    assert all(bool(dealt[split]) == (split in wanted) for split in dealt)
    if count >= len(wanted):
        assert sorted(f for own in dealt.values() for f in own) == files
