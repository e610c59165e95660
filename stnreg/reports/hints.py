"""What to look at in scans that were registered well: the quality assessment judges the registration alone.

The scans of a study are compared with each other by the slices of their previews. Hints change no verdict.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stnreg.reports.asymmetry import ONE_SIDED, asymmetry, usual_limit
from stnreg.reports.people import folds, wrong_people
from stnreg.reports.shown import Array, slices_of
from stnreg.reports.sides import EXCHANGED, LEAST, OPPOSITE, compare, difference


class Hint(NamedTuple):
    """A word for a card of the page, and a sentence."""

    word: str
    sentence: str


@dataclass
class Hints:
    """What was found out about the scans of a study.

    Attributes
    ----------
    measures : dict
        By id and name (`sides`, `asymmetry`); None where there is none.
    of : dict
        The hints, by id; without the ids that have none.
    limits : dict
        By the name of a measure, the range outside which there is a hint.
    """

    measures: dict[str, dict[str, float | None]] = field(default_factory=dict)
    of: dict[str, list[Hint]] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, name: str, word: str, sentence: str) -> None:
        """Add a hint."""
        self.of.setdefault(name, []).append(Hint(word, sentence))

    def lines(self) -> list[str]:
        """Return a line for each hint."""
        return [f"{name}: {hint.sentence}" for name, hints in self.of.items() for hint in hints]


def find_hints(
    previews: Mapping[str, Mapping[str, Any] | None], passed: Sequence[str], deformed: Collection[str] = ()
) -> Hints:
    """Compare scans that were registered well.

    Parameters
    ----------
    previews : mapping
        By id, see `stnreg.reports.tiles.describe_tiles`; None for a scan without one.
    passed : sequence of str
        The ids that are compared.
    deformed : collection of str
        Those whose preview shows them deformed: two people who were deformed onto one template look like one.
    """
    shown = {name: preview for name in passed if (preview := previews.get(name)) is not None}
    with ThreadPoolExecutor() as pool:  # filters and decoders let go of Python's lock
        looks = dict(zip(shown, pool.map(_look, shown.values()), strict=True))
    groups: dict[str, dict[str, _Look]] = {}
    for name, look in looks.items():
        groups.setdefault(shown[name]["fixed"], {})[name] = look
    found = Hints()
    for group in groups.values():
        sides = compare([one.difference for one in group.values()], [True] * len(group))
        for (name, one), value in zip(group.items(), sides, strict=True):
            found.measures[name] = {"sides": value, "asymmetry": one.asymmetry}
            if value is not None and value < OPPOSITE:
                found.add(name, "Left and right exchanged?", f"{EXCHANGED} (correlation {value:.2f})")
        for name, reason in wrong_people(
            {name: one.folds for name, one in group.items() if name not in deformed}
        ).items():
            found.add(name, "Another person?", reason)
    if any(one["sides"] is not None for one in found.measures.values()):
        found.limits["sides"] = OPPOSITE, 1.0
    _mark_asymmetric(found)
    return found


class _Look(NamedTuple):
    difference: Array | None
    folds: Array
    asymmetry: float | None


def _look(preview: Mapping[str, Any]) -> _Look:
    slices = slices_of(preview)
    return _Look(difference(slices), folds(slices), asymmetry(slices))


def _mark_asymmetric(found: Hints) -> None:
    values = {name: one["asymmetry"] for name, one in found.measures.items() if one["asymmetry"] is not None}
    if len(values) <= LEAST:
        return
    limit = usual_limit([*values.values()])
    found.limits["asymmetry"] = 0.0, limit
    for name, value in values.items():
        if value > limit:
            found.add(name, "Lesion?", f"{ONE_SIDED} (asymmetry {value:.2f}, usual up to {limit:.2f})")
