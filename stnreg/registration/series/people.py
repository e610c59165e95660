"""Which visits belong to one person, and which do not belong here: by the evidence of all pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What the registration of two visits says.

    Attributes
    ----------
    passed : bool
        Whether it is accepted.
    same_person : bool
        Whether both show one head (`stnreg.registration.refine.pair_type`).
    correlation : float
        Local correlation inside the brain.
    reasons : tuple of str
        Why it was rejected.
    """

    passed: bool
    same_person: bool
    correlation: float
    reasons: tuple[str, ...] = ()


Pairs = Mapping[tuple[int, int], Evidence]


def links(pairs: Pairs) -> dict[tuple[int, int], Evidence]:
    """Return the pairs that may be used: accepted, and of one person."""
    return {pair: found for pair, found in pairs.items() if found.passed and found.same_person}


def groups(pairs: Pairs, count: int) -> list[list[int]]:
    """Return the visits grouped by person, the largest group first; of equal ones that with the best correlation."""
    good = links(pairs)
    owner = list(range(count))
    for i, j in good:
        old, new = owner[j], owner[i]
        owner = [new if one == old else one for one in owner]
    found = [[k for k in range(count) if owner[k] == name] for name in dict.fromkeys(owner)]

    def quality(group: Sequence[int]) -> tuple[int, float]:
        inside = [e.correlation for (i, j), e in good.items() if i in group and j in group]
        return len(group), sum(inside) / max(len(inside), 1)

    return sorted(found, key=quality, reverse=True)


def reason_left_out(visit: int, group: Sequence[int], pairs: Pairs) -> str:
    """Say why a visit is not in the group of the series.

    Parameters
    ----------
    visit : int
    group : sequence of int
        The visits that are kept.
    pairs : mapping of (i, j) to Evidence
    """
    to_group = [e for (i, j), e in pairs.items() if (i == visit and j in group) or (j == visit and i in group)]
    if any(e.passed and not e.same_person for e in to_group):
        best = max(e.correlation for e in to_group)
        return (
            f"shows another person, or has changed beyond recognition: its local correlation with the other visits is "
            f"{best:.2f} at most"
        )
    reasons = [reason for e in to_group for reason in e.reasons]
    often = max(dict.fromkeys(reasons), key=reasons.count) if reasons else "no other visit was compared with it"
    return f"no registration to another visit was accepted: {often}"
