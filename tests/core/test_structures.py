"""The table of structures: codes of both schemes, left and right separate."""

import csv

import numpy as np
import pytest

from stnreg.core.structures import GROUP_OF, GROUPS, NAMES, STRUCTURES, dlmuse_lookup, mirror_index


def test_names_are_unique_and_the_first_is_the_background():
    assert len(set(NAMES)) == len(NAMES)
    assert NAMES[0] == GROUPS[0] == "background"


def test_no_code_belongs_to_two_structures():
    for scheme in ("freesurfer", "dlmuse"):
        codes = [code for s in STRUCTURES for code in getattr(s, scheme)]
        assert len(set(codes)) == len(codes), scheme


def test_mirror_changes_sides_and_is_its_own_inverse():
    mirror = mirror_index()
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    swap = {"L": "R", "R": "L", "-": "-"}
    for k, s in enumerate(STRUCTURES):
        assert (STRUCTURES[mirror[k]].name, STRUCTURES[mirror[k]].side) == (s.name, swap[s.side])


def test_groups_keep_sides_apart():
    for s in STRUCTURES:
        assert s.group.endswith(f"_{s.side}") == (s.side != "-")
    assert GROUP_OF.max() == len(GROUPS) - 1


def test_sides_and_freesurfer_codes_agree_with_the_published_table(shared):
    path = shared("data/labels.tsv")
    lookup = dlmuse_lookup()
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 100
    in_both = 0
    for row in rows:
        s = STRUCTURES[lookup[int(row["dlmuse"])]]
        assert s.name != "background", row
        assert s.side in (row["side"], "-"), row
        if s.freesurfer and row["freesurfer"]:
            assert int(row["freesurfer"]) in s.freesurfer, row
            in_both += 1
    assert in_both > 20


@pytest.mark.parametrize("name", ["caudate_L", "thalamus_R", "brain_stem"])
def test_deep_structures_exist_in_both_schemes(name):
    s = STRUCTURES[NAMES.index(name)]
    assert s.freesurfer
    assert s.dlmuse
