"""What is pointed out in a study: by id, with a word and a sentence; of scans that passed alone."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from previews import preview, smooth, symmetric, with_lesion

from stnreg.reports.hints import find_hints
from stnreg.reports.sides import LEAST

LESION, EXCHANGED, PERSON = "sub-02_T1w", "sub-05_T1w", "sub-07_ses-2_T1w"


@pytest.fixture(scope="module")
def previews():
    rng = np.random.default_rng(6)
    fixed, shared = symmetric(smooth(rng)), 0.4 * smooth(rng)
    names = [*(f"sub-{k:02d}_T1w" for k in range(12)), "sub-07_ses-1_T1w", PERSON]
    heads = {name: fixed + shared + 0.3 * smooth(rng) + 0.7 * symmetric(smooth(rng, 2)) for name in names}
    del heads["sub-07_T1w"]
    heads[EXCHANGED] = heads[EXCHANGED][:, ::-1]
    heads[LESION] = with_lesion(heads[LESION], 15)
    return {name: preview(head, fixed) for name, head in heads.items()} | {"without": None}


def test_each_kind_is_pointed_out(previews):
    found = find_hints(previews, [*previews])
    words = {name: [hint.word for hint in hints] for name, hints in found.of.items()}
    assert words[LESION] == ["Lesion?"]
    assert words[EXCHANGED] == ["Left and right exchanged?"]
    assert words[PERSON] == words["sub-07_ses-1_T1w"] == ["Another person?"]
    assert len(words) == 4
    assert found.measures[LESION]["asymmetry"] > found.limits["asymmetry"][1]
    (line,) = (line for line in found.lines() if line.startswith(LESION))
    assert "left and right differ more than in the other scans" in line


def test_a_scan_that_failed_neither_gets_a_hint_nor_counts(previews):
    found = find_hints(previews, [name for name in previews if name not in (LESION, PERSON)])
    assert [*found.of] == [EXCHANGED]
    assert LESION not in found.measures


def test_people_who_were_deformed_are_not_compared(previews):
    found = find_hints(previews, [*previews], [PERSON])
    assert PERSON not in found.of
    assert "sub-07_ses-1_T1w" not in found.of


def test_few_scans_say_nothing_of_sides_and_lesions(previews):
    found = find_hints(previews, [LESION, EXCHANGED, *[name for name in previews if name > "sub-07_s"][: LEAST - 3]])
    assert {hint.word for hints in found.of.values() for hint in hints} <= {"Another person?"}
    assert found.limits == {}
