from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.datasets.draw import SPLITS, draw_pairs
from stnreg.datasets.scans import Scan
from stnreg.errors import DataError


def people(visits):
    """As many people as numbers, each with as many visits."""
    return [
        Scan(Path(f"{person}-{visit}.nii"), f"p{person:02d}", f"v{visit}")
        for person, count in enumerate(visits)
        for visit in range(count)
    ]


def people_of(pairs):
    return {scan.subject for pair in pairs for scan in (pair.fixed, pair.moving)}


@settings(max_examples=30)
@given(
    visits=st.lists(st.integers(1, 4), min_size=6, max_size=20),
    counts=st.tuples(*[st.integers(0, 12)] * 3).filter(any),
    kind=st.sampled_from(["random", "longitudinal"]),
    seed=st.integers(0, 5),
)
def test_nobody_is_in_two_splits_and_no_pair_comes_twice(visits, counts, kind, seed):
    try:
        pairs = draw_pairs(people(visits), kind, counts, seed)
    except DataError:
        assert sum(v > 1 for v in visits) < 3
        return
    assert pairs
    by_split = {split: [pair for pair in pairs if pair.split == split] for split in SPLITS}
    groups = [people_of(own) for own in by_split.values()]
    assert sum(len(group) for group in groups) == len(set.union(*groups))
    assert len({(pair.fixed.path, pair.moving.path) for pair in pairs}) == len(pairs)
    for split, count in zip(SPLITS, counts, strict=True):
        assert len(by_split[split]) <= count
    for pair in pairs:
        assert (pair.fixed.subject == pair.moving.subject) == (kind == "longitudinal")
        if kind == "longitudinal":
            assert pair.fixed.visit < pair.moving.visit


def test_there_are_as_many_as_asked_for_where_there_are_so_many():
    pairs = draw_pairs(people([2] * 18), "random", (40, 10, 10))
    assert [sum(pair.split == split for pair in pairs) for split in SPLITS] == [40, 10, 10]
    all_there_are = draw_pairs(people([1] * 4), "random", (100, 0, 0))
    assert len(all_there_are) == 4 * 3
    assert len(draw_pairs(people([3, 1, 1]), "longitudinal", (0, 0, 9))) == 3


def test_people_are_dealt_in_proportion():
    pairs = draw_pairs(people([1] * 50), "random", (1000, 500, 1000))
    sizes = [len(people_of([pair for pair in pairs if pair.split == split])) for split in SPLITS]
    assert sizes == [20, 10, 20]


def test_the_seed_decides():
    scans = people([2] * 10)
    first, again, other = (draw_pairs(scans, "random", (5, 5, 5), seed) for seed in (1, 1, 2))
    assert first == again != other
    assert draw_pairs(scans[::-1], "random", (5, 5, 5), 1) == first


def test_too_few_people_are_reported():
    with pytest.raises(DataError, match="3 people, of 3: too few for 2 splits"):
        draw_pairs(people([1, 1, 1]), "random", (1, 1, 0))
    with pytest.raises(DataError, match="0 people with two visits"):
        draw_pairs(people([1, 1, 1]), "longitudinal", (1, 0, 0))
